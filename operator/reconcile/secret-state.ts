import { createHash } from 'node:crypto';
import { GROUP, REFERABLE_LABEL, SHAPE_ANNOTATION } from '#crds/api-group.ts';
import type { DesiredSecret, ReferencedSecret, StoredSecret } from '../world/secrets.ts';

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

/** Whether an object may refer to this Secret. One of ours is known by its type, which nobody can change. */
export function referenced({ type, labels, data }: StoredSecret): ReferencedSecret {
  if (type.startsWith(`${GROUP}/`)) return { kind: 'ours' };
  return labels[REFERABLE_LABEL] === 'true' ? { kind: 'referable', data } : { kind: 'notReferable' };
}

/**
 * Notes on the Secret which labels, annotations and keys we put there, so that one that is no longer wanted is noticed without
 * remembering what was wanted before, and those that others added are left alone. Values are not part of it.
 */
export function withShape(desired: DesiredSecret): DesiredSecret {
  const { labels, annotations, data } = desired;
  const shape = JSON.stringify([sorted(labels), sorted(annotations), Object.keys(data).toSorted(compare)]);
  const hash = createHash('sha256').update(shape).digest('hex').slice(0, 16);
  return { ...desired, annotations: { ...annotations, [SHAPE_ANNOTATION]: hash } };
}

function sorted(map: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(map).toSorted(([a], [b]) => compare(a, b));
}

/** By code unit: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether an apply would change nothing. Labels, annotations and keys that others put on our Secret are their business. */
export function satisfies(stored: StoredSecret, desired: DesiredSecret): boolean {
  return (
    contains(stored.labels, desired.labels) &&
    contains(stored.annotations, desired.annotations) &&
    contains(stored.data, desired.data)
  );
}

function contains(actual: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => actual[key] === value);
}
