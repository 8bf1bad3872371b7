import ipaddr from 'ipaddr.js';

// Of a CommonJS module whose names Node does not see: importing them by name fails outside of a bundler.
const { IPv4, IPv6 } = ipaddr;

/**
 * An address as 16 bytes: IPv4 in its IPv6-mapped form (RFC 4291, 2.5.5.2), so that 198.51.100.7 and ::ffff:198.51.100.7 are the same. As
 * four unsigned 32-bit words, most significant first.
 */
export type IpAddress = readonly [number, number, number, number];

/** A block of addresses: those whose first `prefix` bits (0 to 128) are those of `address`. */
export type IpRange = { readonly address: IpAddress; readonly prefix: number };

const MAPPED_PREFIX = 96;
const MAPPED_WORD = 0xffff;

/**
 * Reads dotted IPv4 with four decimal parts, or IPv6 without a zone; undefined for anything else. The old spellings (octal, hexadecimal, fewer
 * than four parts) are refused: two readers could take them for different addresses.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (IPv4.isValidFourPartDecimal(text)) return [0, 0, MAPPED_WORD, word(IPv4.parse(text).toByteArray(), 0)];
  if (text.includes('%') || !text.includes(':') || !IPv6.isValid(text)) return undefined;
  const bytes = IPv6.parse(text).toByteArray();
  return [word(bytes, 0), word(bytes, 4), word(bytes, 8), word(bytes, 12)];
}

/** IPv4 with dots, also where it came mapped; IPv6 in eight groups. */
export function formatIpAddress([first, second, third, last]: IpAddress): string {
  if (first === 0 && second === 0 && third === MAPPED_WORD)
    return `${last >>> 24}.${(last >>> 16) & 0xff}.${(last >>> 8) & 0xff}.${last & 0xff}`;
  return [first, second, third, last]
    .flatMap((part) => [part >>> 16, part & 0xffff])
    .map((group) => group.toString(16))
    .join(':');
}

/** Reads `address` or `address/bits`; undefined for anything else. Bits below the prefix are ignored, as everywhere in networking. */
export function parseIpRange(text: string): IpRange | undefined {
  const [address = '', bits, ...rest] = text.split('/');
  const parsed = parseIpAddress(address);
  if (parsed === undefined || rest.length > 0) return undefined;
  const width = address.includes(':') ? 128 : 32;
  if (bits === undefined) return { address: parsed, prefix: 128 };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > width) return undefined;
  return { address: parsed, prefix: width === 32 ? MAPPED_PREFIX + Number(bits) : Number(bits) };
}

function word(bytes: readonly number[], at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(at, at + 4);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
