import type { Logger } from 'pino';
import { describeError } from './errors.ts';
import { compareResourceVersions, keyOf } from './object.ts';
import type { EngineObject, Key } from './object.ts';
import { Tombstones } from './tombstones.ts';

export type StoreEvent<T> =
  /** `initial`: it was there when we first looked, so nobody is waiting for it. */
  | { readonly type: 'added'; readonly old: undefined; readonly object: T; readonly initial: boolean }
  | { readonly type: 'updated'; readonly old: T; readonly object: T; readonly initial: false }
  /** `object` is the last state known. */
  | { readonly type: 'deleted'; readonly old: T; readonly object: T; readonly initial: false };

export type StoreHandler<T> = (event: StoreEvent<T>) => void;

/** The values under which an object is found; none to leave it out of the index. */
export type IndexFunction<T> = (object: T) => readonly string[];

export type StoreOptions<T, Index extends string> = {
  readonly log: Logger;
  readonly indexes?: Readonly<Record<Index, IndexFunction<T>>>;
  /** The namespaces that are listed separately into this store; default one scope, '', for everything. */
  readonly scopes?: readonly string[];
};

export type ReplaceOptions = {
  /** Which of the store's scopes was listed. */
  readonly scope?: string;
  /** The server's versions have started over (a restored backup): nothing held may be kept for being newer. */
  readonly rewound?: boolean;
};

/**
 * What the API server holds, as last heard. Fed by Reflectors and, so that a reconcile reads its own writes, by write-through.
 * Three rules keep late and repeated news harmless: an older resource version never replaces a newer one; a deletion is remembered, so
 * nothing older brings the object back; another UID under the same name is a deletion and an addition, never an update.
 */
export class Store<T extends EngineObject, Index extends string = never> {
  readonly #log: Logger;
  readonly #objects = new Map<Key, T>();
  readonly #indexes = new Map<Index, { readonly values: IndexFunction<T>; readonly keys: Map<string, Set<Key>> }>();
  readonly #tombstones = new Tombstones();
  readonly #handlers = new Set<StoreHandler<T>>();
  readonly #unsynced: Set<string>;
  readonly #whenSynced = Promise.withResolvers<void>();

  constructor({ log, indexes, scopes = [''] }: StoreOptions<T, Index>) {
    this.#log = log;
    this.#unsynced = new Set(scopes);
    for (const name in indexes) this.#indexes.set(name, { values: indexes[name], keys: new Map() });
  }

  get(key: Key): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  keys(): Key[] {
    return [...this.#objects.keys()];
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Every object whose index function returned `value`. */
  byIndex(index: Index, value: string): T[] {
    const found = this.#indexes.get(index);
    if (found === undefined) throw new RangeError(`the store has no index ${index}`);
    const objects: T[] = [];
    for (const key of found.keys.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) objects.push(object);
    }
    return objects;
  }

  /** True once every scope has been listed. */
  hasSynced(): boolean {
    return this.#unsynced.size === 0;
  }

  /** Resolves when hasSynced() becomes true; rejects with the signal's reason when it aborts first. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#whenSynced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Calls `handler` for everything held now (`initial`) and for every change from now on. Returns the way to stop. */
  subscribe(handler: StoreHandler<T>): () => void {
    for (const object of this.list()) this.#call(handler, { type: 'added', old: undefined, object, initial: true });
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  /** Takes a state from a watch or from the answer to our own write. False when it was no news. */
  upsert(object: T): boolean {
    return this.#set(object, false);
  }

  /** Takes a deletion; `object` is its last state and carries the resource version of the deletion. False when it was no news. */
  remove(object: T): boolean {
    const { uid, resourceVersion } = object.metadata;
    this.#tombstones.add(uid, resourceVersion);
    const key = keyOf(object);
    const held = this.#objects.get(key);
    // A late deletion of an earlier object of this name must not take the present one with it.
    if (held === undefined || held.metadata.uid !== uid) return false;
    this.#delete(key, held, object);
    return true;
  }

  /**
   * Takes a complete list, as of `resourceVersion`. What is held and missing was deleted, unless it is newer than the list: then the
   * list says nothing about it (we wrote it ourselves since).
   */
  replace(objects: readonly T[], resourceVersion?: string, { scope = '', rewound = false }: ReplaceOptions = {}): void {
    const initial = this.#unsynced.has(scope);
    const listed = new Set<Key>();
    if (rewound) this.#rewind(scope);
    for (const object of objects) {
      listed.add(keyOf(object));
      this.#set(object, initial);
    }
    for (const [key, held] of this.#objects) {
      if (listed.has(key) || (scope !== '' && held.metadata.namespace !== scope)) continue;
      if (compareResourceVersions(held.metadata.resourceVersion, resourceVersion) > 0) continue;
      this.#tombstones.add(held.metadata.uid, resourceVersion);
      this.#delete(key, held, held);
    }
    this.#unsynced.delete(scope);
    if (this.hasSynced()) this.#whenSynced.resolve();
  }

  /** Versions from before a restored backup compare with nothing any more. */
  #rewind(scope: string): void {
    this.#tombstones.clear();
    for (const [key, held] of this.#objects) {
      if (scope === '' || held.metadata.namespace === scope) this.#delete(key, held, held);
    }
  }

  #set(object: T, initial: boolean): boolean {
    const { uid, resourceVersion } = object.metadata;
    if (this.#tombstones.covers(uid, resourceVersion)) return false;
    const key = keyOf(object);
    const held = this.#objects.get(key);
    if (held !== undefined) {
      const age = compareResourceVersions(resourceVersion, held.metadata.resourceVersion);
      if (age < 0) return false;
      const sameVersion = resourceVersion !== undefined && resourceVersion === held.metadata.resourceVersion;
      if (sameVersion && held.metadata.uid === uid) return false;
      if (held.metadata.uid !== uid) {
        this.#tombstones.add(held.metadata.uid, held.metadata.resourceVersion);
        this.#delete(key, held, held);
      }
    }
    const old = this.#objects.get(key);
    if (old !== undefined) this.#unindex(key, old);
    this.#objects.set(key, object);
    for (const { values, keys } of this.#indexes.values()) {
      for (const value of values(object)) {
        const set = keys.get(value);
        if (set === undefined) keys.set(value, new Set([key]));
        else set.add(key);
      }
    }
    if (old === undefined) this.#emit({ type: 'added', old, object, initial });
    else this.#emit({ type: 'updated', old, object, initial: false });
    return true;
  }

  #delete(key: Key, held: T, last: T): void {
    this.#unindex(key, held);
    this.#objects.delete(key);
    this.#emit({ type: 'deleted', old: held, object: last, initial: false });
  }

  #unindex(key: Key, object: T): void {
    for (const { values, keys } of this.#indexes.values()) {
      for (const value of values(object)) {
        const set = keys.get(value);
        set?.delete(key);
        if (set?.size === 0) keys.delete(value);
      }
    }
  }

  #emit(event: StoreEvent<T>): void {
    for (const handler of this.#handlers) this.#call(handler, event);
  }

  #call(handler: StoreHandler<T>, event: StoreEvent<T>): void {
    try {
      handler(event);
    } catch (error) {
      this.#log.error({ key: keyOf(event.object), event: event.type, ...describeError(error) }, 'event handler failed');
    }
  }
}
