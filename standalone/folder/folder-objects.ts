import { FINALIZER } from '#crds/api-group.ts';
import type { RelayObject } from '#crds/relay-object.ts';
import { withFinalizer, withoutFinalizer } from '#operator/engine/finalizers.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import type { Objects } from '#operator/world/objects.ts';
import type { ObjectStore } from './object-store.ts';

export type FolderObjectsEvents<T> = {
  readonly written: (object: T) => void;
  readonly gone: (object: T) => void;
  readonly status: (object: T, former: T) => void;
};

/** The reconcilers' side of one kind. Each write is on disk and visible when its promise resolves. */
export class FolderObjects<T extends RelayObject> implements Objects<T> {
  readonly #store: ObjectStore<T>;
  readonly #events: FolderObjectsEvents<T>;

  constructor(store: ObjectStore<T>, events: FolderObjectsEvents<T>) {
    this.#store = store;
    this.#events = events;
  }

  get(ref: ObjectRef): T | undefined {
    return this.#store.get(ref);
  }

  async addFinalizer(object: T): Promise<void> {
    const written = this.#store.update(object, (current) => finalizedBy(current, withFinalizer(current, FINALIZER)));
    this.#events.written(written);
  }

  async removeFinalizer(object: T): Promise<void> {
    const left = withoutFinalizer(object, FINALIZER);
    if (object.metadata.deletionTimestamp !== undefined && left.length === 0) {
      this.#store.remove(object);
      this.#events.gone(object);
      return;
    }
    this.#events.written(this.#store.update(object, (current) => finalizedBy(current, left)));
  }

  async writeStatus(object: T, status: NonNullable<T['status']>): Promise<void> {
    const written = this.#store.update(object, (current) => ({ ...current, status }));
    this.#events.status(written, object);
    this.#events.written(written);
  }
}

function finalizedBy<T extends RelayObject>(object: T, finalizers: readonly string[]): T {
  return { ...object, metadata: { ...object.metadata, finalizers } };
}
