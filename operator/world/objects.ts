import type { RelayObject } from '#crds/relay-object.ts';
import type { ObjectRef } from './object-ref.ts';

/**
 * What a reconciler does with the objects of its kind. A cluster and a standalone folder each implement it, and a reconciler must not be
 * able to tell which one it is in; test/integration/world runs one contract suite against both.
 *
 * Implementations MUST make their own successful write visible to the next `get` (write-through), MUST guard every write with the UID
 * and resourceVersion that the caller saw, and MUST throw a quiet TransientError when the object has changed meanwhile.
 */
export interface Objects<T extends RelayObject> {
  /** The object as last seen; never a network call. */
  get(ref: ObjectRef): T | undefined;
  addFinalizer(object: T): Promise<void>;
  /** Removes only our finalizer. */
  removeFinalizer(object: T): Promise<void>;
  /** Replaces the status. Callers compare first: an implementation always writes. */
  writeStatus(object: T, status: NonNullable<T['status']>): Promise<void>;
}
