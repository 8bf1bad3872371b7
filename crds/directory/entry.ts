import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Keyring } from '../keyring.ts';

const PURPOSE = 'directory-entry';

const payload = z.object({
  key: z.string().min(1),
  /** The revision at which this entry last changed. */
  revision: z.int().min(1),
  /** Version of the body. */
  v: z.int().min(1),
  /** Fields of the body that a reader must know how to enforce, else it must not use the entry. */
  crit: z.array(z.string()),
  /** null: the entry is removed. */
  body: z.record(z.string(), z.unknown()).nullable(),
});
export type EntryPayload = Readonly<z.infer<typeof payload>>;

/**
 * The text of an entry: `{keyId}.{mac}.{payload}`. The MAC (HMAC-SHA256, base64url) covers key id and payload byte for byte, so that no
 * two readers can disagree on what was signed; the payload is JSON {@link EntryPayload}.
 * Throws a RangeError when the ring lacks `keyId`.
 */
export function signEntry(keyring: Keyring, keyId: string, entry: EntryPayload): string {
  const { key, revision, v, crit, body } = entry;
  const text = JSON.stringify({ key, revision, v, crit, body });
  const mac = entryMac(keyring, keyId, text);
  if (mac === undefined) throw new RangeError(`the keyring has no key ${keyId}`);
  return `${keyId}.${mac.toString('base64url')}.${text}`;
}

export type ReadEntry =
  | { readonly kind: 'authentic'; readonly entry: EntryPayload; /** Names this exact content. */ readonly mac: string }
  /** `claim` is what the text says of itself: good enough to follow the digest, never to be enforced. */
  | { readonly kind: 'refused'; readonly reason: 'unknown_key' | 'not_authentic'; readonly claim: EntryPayload }
  | { readonly kind: 'malformed' };

/** Reads what `signEntry` wrote. Never throws: Redis is not trusted. */
export function readEntry(keyring: Keyring, text: string): ReadEntry {
  const parts = splitEntry(text);
  if (parts === undefined) return { kind: 'malformed' };
  const parsed = parsePayload(parts.text);
  if (parsed === undefined) return { kind: 'malformed' };
  const expected = entryMac(keyring, parts.keyId, parts.text);
  if (expected === undefined) return { kind: 'refused', reason: 'unknown_key', claim: parsed };
  const actual = Buffer.from(parts.mac, 'base64url');
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
    return { kind: 'refused', reason: 'not_authentic', claim: parsed };
  }
  return { kind: 'authentic', entry: parsed, mac: parts.mac };
}

/** The payload without a look at the MAC: for the operator's own rows, which PostgreSQL vouches for. */
export function trustEntry(text: string): EntryPayload | undefined {
  const parts = splitEntry(text);
  return parts === undefined ? undefined : parsePayload(parts.text);
}

function entryMac(keyring: Keyring, keyId: string, text: string): Buffer | undefined {
  const key = keyring.derive(keyId, PURPOSE);
  return key === undefined ? undefined : createHmac('sha256', key).update(`${keyId}.${text}`).digest();
}

function splitEntry(text: string): { keyId: string; mac: string; text: string } | undefined {
  const first = text.indexOf('.');
  const second = text.indexOf('.', first + 1);
  if (first < 1 || second < 0) return undefined;
  return { keyId: text.slice(0, first), mac: text.slice(first + 1, second), text: text.slice(second + 1) };
}

function parsePayload(text: string): EntryPayload | undefined {
  try {
    return payload.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
