import { z } from 'zod';
import { parseJsonAs } from '../json-text.ts';
import type { Keyring } from '../keyring.ts';
import { signatureFault, signText, splitSigned } from '../signed-text.ts';

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
 * The text of an entry, signed (crds/signed-text.ts); the payload is JSON {@link EntryPayload}.
 * Throws a RangeError when the ring lacks `keyId`.
 */
export function signEntry(keyring: Keyring, keyId: string, entry: EntryPayload): string {
  const { key, revision, v, crit, body } = entry;
  return signText(keyring, keyId, PURPOSE, JSON.stringify({ key, revision, v, crit, body }));
}

export type ReadEntry =
  | { readonly kind: 'authentic'; readonly entry: EntryPayload; /** Names this exact content. */ readonly mac: string }
  /** `claim` is what the text says of itself: good enough to follow the digest, never to be enforced. */
  | { readonly kind: 'refused'; readonly reason: 'unknown_key' | 'not_authentic'; readonly claim: EntryPayload }
  | { readonly kind: 'malformed' };

/** Reads what `signEntry` wrote. Never throws: Redis is not trusted. */
export function readEntry(keyring: Keyring, text: string): ReadEntry {
  const parts = splitSigned(text);
  if (parts === undefined) return { kind: 'malformed' };
  const parsed = parseJsonAs(payload, parts.text);
  if (parsed === undefined) return { kind: 'malformed' };
  const reason = signatureFault(keyring, PURPOSE, parts);
  if (reason !== undefined) return { kind: 'refused', reason, claim: parsed };
  return { kind: 'authentic', entry: parsed, mac: parts.mac };
}

/** The payload without a look at the MAC: for the operator's own rows, which PostgreSQL vouches for. */
export function trustEntry(text: string): EntryPayload | undefined {
  const parts = splitSigned(text);
  return parts === undefined ? undefined : parseJsonAs(payload, parts.text);
}
