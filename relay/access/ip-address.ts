import ipaddr from 'ipaddr.js';

// Of a CommonJS module whose names Node does not see: importing it by name fails outside of a bundler.
const { IPv6 } = ipaddr;

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
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return [0, 0, MAPPED_WORD, v4];
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

/** By hand, because every request behind a proxy has some: four decimal parts of 0 to 255 without leading zeros. */
function parseIpv4(text: string): number | undefined {
  if (text.length > MAX_IPV4) return undefined;
  let address = 0;
  let part = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (part < 0) return undefined;
      address = address * 256 + part;
      part = -1;
      dots += 1;
    } else {
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || part === 0) return undefined;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return undefined;
    }
  }
  return dots === 3 && part >= 0 ? address * 256 + part : undefined;
}

const MAX_IPV4 = '255.255.255.255'.length;
const DOT = 46;
const ZERO = 48;

function word(bytes: readonly number[], at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(at, at + 4);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
