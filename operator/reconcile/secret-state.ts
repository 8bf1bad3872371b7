import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

/** The Secret of the wanted name, from the point of view of the object with `uid`. */
export type SecretState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'ours'; readonly secret: StoredSecret }
  | { readonly kind: 'foreign'; readonly why: string };

/** Ownership is the owner's UID: a Secret that only has the right name or the right label is somebody else's, and never touched. */
export function secretState(secret: StoredSecret | undefined, uid: string, type: string): SecretState {
  if (secret === undefined) return { kind: 'absent' };
  if (secret.owner === undefined) return { kind: 'foreign', why: 'nothing of this operator owns it' };
  if (secret.owner.uid !== uid)
    return { kind: 'foreign', why: `it belongs to ${secret.owner.kind} ${secret.owner.name}` };
  if (secret.type !== type) return { kind: 'foreign', why: `its type is ${secret.type}, not ${type}` };
  return { kind: 'ours', secret };
}

/** Whether an apply would change nothing. Foreign labels and annotations on our Secret are other people's business. */
export function satisfies(stored: StoredSecret, desired: DesiredSecret): boolean {
  return (
    contains(stored.labels, desired.labels) &&
    contains(stored.annotations, desired.annotations) &&
    Object.keys(stored.data).length === Object.keys(desired.data).length &&
    contains(stored.data, desired.data)
  );
}

function contains(actual: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => actual[key] === value);
}
