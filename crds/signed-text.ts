import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Keyring } from './keyring.ts';

/**
 * A text that crosses Redis, which is not trusted: `{keyId}.{mac}.{text}`. The MAC (HMAC-SHA256, base64url) covers key id and text byte
 * for byte, so that no two readers can disagree on what was signed. Each purpose has a sub-key of its own.
 * Throws a RangeError when the ring lacks `keyId`.
 */
export function signText(keyring: Keyring, keyId: string, purpose: string, text: string): string {
  const mac = macOf(keyring, keyId, purpose, text);
  if (mac === undefined) throw new RangeError(`the keyring has no key ${keyId}`);
  return `${keyId}.${mac.toString('base64url')}.${text}`;
}

export type SignedText = { readonly keyId: string; readonly mac: string; readonly text: string };

/** What `signText` wrote, taken apart and not yet believed. undefined: not such a text. */
export function splitSigned(signed: string): SignedText | undefined {
  const first = signed.indexOf('.');
  const second = signed.indexOf('.', first + 1);
  if (first < 1 || second < 0) return undefined;
  return { keyId: signed.slice(0, first), mac: signed.slice(first + 1, second), text: signed.slice(second + 1) };
}

/** What is wrong with the MAC; undefined: it holds. Never throws. */
export function signatureFault(
  keyring: Keyring,
  purpose: string,
  { keyId, mac, text }: SignedText,
): 'unknown_key' | 'not_authentic' | undefined {
  const expected = macOf(keyring, keyId, purpose, text);
  if (expected === undefined) return 'unknown_key';
  const actual = Buffer.from(mac, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected) ? undefined : 'not_authentic';
}

function macOf(keyring: Keyring, keyId: string, purpose: string, text: string): Buffer | undefined {
  const key = keyring.derive(keyId, purpose);
  return key === undefined ? undefined : createHmac('sha256', key).update(`${keyId}.${text}`).digest();
}
