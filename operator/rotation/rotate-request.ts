import { ROTATE_ANNOTATION } from '#crds/api-group.ts';
import type { ObjectMeta } from '#crds/resource.ts';

/** What is known of requests that were acted on already: by the registry, which outlives the object, and by its status. null: none. */
export type HandledRequest = { readonly registry: string | null; readonly status: string | undefined };

export type RotateRequest =
  | { readonly kind: 'none' }
  /** Acted on, and the registry does not know it: it was restored from a backup that is older than the status. */
  | { readonly kind: 'unrecorded'; readonly value: string }
  /** Nobody has acted on it yet. */
  | { readonly kind: 'rotate'; readonly value: string };

/** The longest value that is remembered; of a longer one its beginning counts. */
const MAX_VALUE = 256;

/** The annotation `relay-operator.dev/rotate` of an object; undefined: it has none. An empty value asks for nothing. */
export function requestedRotation({ annotations }: ObjectMeta): string | undefined {
  const value = annotations?.[ROTATE_ANNOTATION]?.slice(0, MAX_VALUE);
  return value === '' ? undefined : value;
}

/**
 * Whether the annotation asks for a rotation: once per value. Either memory is enough to keep it from being repeated, so neither a status that
 * was restored nor a registry that was does. Of an object that was never seen before the caller records the value and does not ask.
 */
export function judgeRotateRequest(metadata: ObjectMeta, handled: HandledRequest): RotateRequest {
  const value = requestedRotation(metadata);
  if (value === undefined || value === handled.registry) return { kind: 'none' };
  return value === handled.status ? { kind: 'unrecorded', value } : { kind: 'rotate', value };
}
