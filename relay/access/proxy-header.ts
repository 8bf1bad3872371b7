import { formatIpAddress, parseIpAddress } from './ip-address.ts';

/**
 * What a connection begins with (PROXY protocol, versions 1 and 2, as haproxy's proxy-protocol.txt has it). `source` is the address of
 * the client; undefined: the header speaks of none, as of a health check, and the peer itself is the client.
 */
export type ProxyHeader =
  | { readonly kind: 'header'; readonly length: number; readonly source: string | undefined }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid' };

const SIGNATURE_V1 = Buffer.from('PROXY ');
const SIGNATURE_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** With its CRLF. */
const MAX_V1 = 107;
const HEAD_V2 = 16;
/** Addresses take up to 216 bytes; the rest are notes of the proxy (TLVs), which nobody reads here. */
const MAX_V2 = 4_096;

const INVALID = { kind: 'invalid' } as const;
const INCOMPLETE = { kind: 'incomplete' } as const;

/** @param bytes of the connection so far, from its beginning. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsLike(bytes, SIGNATURE_V1)) return bytes.length < SIGNATURE_V1.length ? INCOMPLETE : readV1(bytes);
  if (beginsLike(bytes, SIGNATURE_V2)) return bytes.length < HEAD_V2 ? INCOMPLETE : readV2(bytes);
  return INVALID;
}

function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.subarray(0, length).equals(signature.subarray(0, length));
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1).indexOf('\r\n');
  if (end < 0) return bytes.length < MAX_V1 ? INCOMPLETE : INVALID;
  const length = end + 2;
  const [, protocol, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ');
  if (protocol === 'UNKNOWN') return { kind: 'header', length, source: undefined };
  const isV6 = protocol === 'TCP6';
  if (!isV6 && protocol !== 'TCP4') return INVALID;
  const isAddress = (text: string): boolean => text.includes(':') === isV6 && parseIpAddress(text) !== undefined;
  const isWhole = isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort);
  return isWhole ? { kind: 'header', length, source } : INVALID;
}

const isPort = (text: string): boolean => /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535;

function readV2(bytes: Buffer): ProxyHeader {
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(SIGNATURE_V2.length);
  const length = HEAD_V2 + bytes.readUInt16BE(14);
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2 || command > 1 || length > MAX_V2) return INVALID;
  if (bytes.length < length) return INCOMPLETE;
  if (command === LOCAL) return { kind: 'header', length, source: undefined };
  const addresses = bytes.subarray(HEAD_V2, length);
  switch (familyAndTransport) {
    case UNSPECIFIED:
      return { kind: 'header', length, source: undefined };
    case TCP_OVER_IPV4:
      if (addresses.length < 12) return INVALID;
      return { kind: 'header', length, source: formatIpAddress([0, 0, 0xffff, addresses.readUInt32BE(0)]) };
    case TCP_OVER_IPV6: {
      if (addresses.length < 36) return INVALID;
      const word = (at: number): number => addresses.readUInt32BE(at);
      return { kind: 'header', length, source: formatIpAddress([word(0), word(4), word(8), word(12)]) };
    }
    default:
      // Datagrams and Unix sockets do not come by this port.
      return INVALID;
  }
}

const LOCAL = 0;
const UNSPECIFIED = 0x00;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
