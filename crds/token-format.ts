import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * A bearer token: `rly_live_` or `rly_test_`, then base62 id (10), secret (32) and CRC-32 (6). The id names it in logs; the checksum
 * (CRC-32 of everything before it, base62, padded with 0) lets a scanner tell a real one offline; id and secret are 250 random bits.
 */
export type Environment = 'Live' | 'Test';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 10;
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;

/** Bytes that `mintToken` needs; a few are thrown away to keep every character equally likely. */
export const MINT_BYTES = 96;

/** Of the public part. */
export const TOKEN_ID_PATTERN = '[0-9A-Za-z]{10}';

export const TOKEN_PATTERN = /^rly_(live|test)_([0-9A-Za-z]{10})([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;

export type MintedToken = { readonly token: string; readonly id: string; readonly sha256: string };

/** @param random `MINT_BYTES` fresh random bytes. Throws a RangeError when they do not yield enough characters (chance < 2⁻⁶⁰: draw again). */
export function mintToken(environment: Environment, random: Uint8Array): MintedToken {
  const characters = base62Characters(random, ID_LENGTH + SECRET_LENGTH);
  const body = `${prefixOf(environment)}${characters}`;
  const token = `${body}${checksum(body)}`;
  return { token, id: characters.slice(0, ID_LENGTH), sha256: tokenHash(token) };
}

export type ParsedToken = { readonly environment: Environment; readonly id: string };

/** The public parts of a well-formed token, or undefined for anything else, a wrong checksum included. Proves nothing about validity. */
export function parseToken(text: string): ParsedToken | undefined {
  const match = TOKEN_PATTERN.exec(text);
  if (match === null) return undefined;
  const [, environment, id, , check] = match;
  if (id === undefined || checksum(text.slice(0, -CHECKSUM_LENGTH)) !== check) return undefined;
  return { environment: environment === 'live' ? 'Live' : 'Test', id };
}

/** SHA-256 of the whole token in lower-case hex: the only form in which it is ever stored. 190 bits of entropy need no slow hash. */
export function tokenHash(token: string): string {
  return hash('sha256', token);
}

function prefixOf(environment: Environment): string {
  return environment === 'Live' ? 'rly_live_' : 'rly_test_';
}

function checksum(body: string): string {
  let value = crc32(body);
  let text = '';
  while (text.length < CHECKSUM_LENGTH) {
    text = ALPHABET.charAt(value % 62) + text;
    value = Math.floor(value / 62);
  }
  return text;
}

/** Rejection sampling: 248 = 4 × 62, so bytes from 248 on would favour the first letters. */
function base62Characters(random: Uint8Array, length: number): string {
  let text = '';
  for (const byte of random) {
    if (text.length === length) break;
    if (byte < 248) text += ALPHABET.charAt(byte % 62);
  }
  if (text.length < length) throw new RangeError('too few random bytes for a token');
  return text;
}
