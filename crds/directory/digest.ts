import { createHmac } from 'node:crypto';
import type { Keyring } from '../keyring.ts';

const PURPOSE = 'directory-digest';
const BYTES = 32;

/** The digest of no entries, as hex. */
export const EMPTY_DIGEST = '0'.repeat(BYTES * 2);

/**
 * XOR of HMAC-SHA256(key ‖ revision) over the living entries: order does not matter, and one change is two XORs. It tells whether two
 * processes hold the same set of (key, revision); the content of each entry is under its own MAC.
 * @param digest hex of 32 bytes. @param removed entries that leave. @param added entries that come.
 * Returns hex. Throws a RangeError when the ring lacks `keyId`.
 */
export function changeDigest(
  keyring: Keyring,
  keyId: string,
  digest: string,
  removed: Iterable<EntryVersion>,
  added: Iterable<EntryVersion>,
): string {
  const key = keyring.derive(keyId, PURPOSE);
  if (key === undefined) throw new RangeError(`the keyring has no key ${keyId}`);
  const sum = Buffer.from(digest, 'hex');
  for (const entries of [removed, added]) {
    for (const entry of entries) {
      const part = createHmac('sha256', key).update(`${entry.revision}:${entry.key}`).digest();
      for (let index = 0; index < BYTES; index += 1) sum[index] = (sum[index] ?? 0) ^ (part[index] ?? 0);
    }
  }
  return sum.toString('hex');
}

export type EntryVersion = { readonly key: string; readonly revision: number };
