import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { parseJsonAs } from '../json-text.ts';
import type { Keyring } from '../keyring.ts';
import { position } from './position.ts';

const PURPOSE = 'directory-admission';

/**
 * The operator's word that replica `id`, in the run named by `nonce`, serves the truth once it has reached this position: without it a
 * fresh relay would believe whatever Redis happens to hold.
 */
export const admission = position.extend({
  nonce: z.string(),
  digest: z.string(),
  keyId: z.string(),
  mac: z.string(),
});
export type Admission = Readonly<z.infer<typeof admission>>;

/** Throws a RangeError when the ring lacks `keyId`. */
export function signAdmission(keyring: Keyring, id: string, terms: Omit<Admission, 'mac'>): Admission {
  const mac = admissionMac(keyring, id, terms);
  if (mac === undefined) throw new RangeError(`the keyring has no key ${terms.keyId}`);
  const { epoch, revision, nonce, digest, keyId } = terms;
  return { epoch, revision, nonce, digest, keyId, mac: mac.toString('base64url') };
}

/** Does the admission stand for this replica and this run? */
export function admits(keyring: Keyring, id: string, nonce: string, terms: Admission): boolean {
  const expected = admissionMac(keyring, id, terms);
  const actual = Buffer.from(terms.mac, 'base64url');
  return (
    terms.nonce === nonce &&
    expected !== undefined &&
    actual.length === expected.length &&
    timingSafeEqual(actual, expected)
  );
}

/** undefined: none, which admits nobody. */
export function parseAdmission(text: string): Admission | undefined {
  return parseJsonAs(admission, text);
}

function admissionMac(keyring: Keyring, id: string, terms: Omit<Admission, 'mac'>): Buffer | undefined {
  const key = keyring.derive(terms.keyId, PURPOSE);
  if (key === undefined) return undefined;
  const text = JSON.stringify([terms.keyId, id, terms.nonce, terms.epoch, terms.revision, terms.digest]);
  return createHmac('sha256', key).update(text).digest();
}
