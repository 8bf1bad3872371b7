import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectMeta } from '#crds/resource.ts';
import { TransientError } from '#operator/engine/errors.ts';
import { keyOf, type ObjectKey, type ObjectRef } from '#operator/world/object-ref.ts';
import { TEMPORARY, writeFileAtomically } from '../atomic-file.ts';
import { errorCode } from './manifest-files.ts';
import { formatObject, parseObject, type FolderObject } from './object-file.ts';

/** Draws the next resourceVersion, for all objects of a folder. */
export type NextVersion = () => string;

/**
 * The objects of one kind, in memory and, with every write, in `{directory}/{namespace}/{name}.yaml`: the API server of a folder. Writes
 * are guarded by what the caller saw.
 */
export class ObjectStore<T extends FolderObject> {
  readonly #directory: string;
  readonly #isOfKind: (object: FolderObject) => object is T;
  readonly #objects = new Map<ObjectKey, T>();
  #nextVersion: NextVersion = () => '0';

  constructor(directory: string, isOfKind: (object: FolderObject) => object is T) {
    this.#directory = directory;
    this.#isOfKind = isOfKind;
  }

  /** Reads what an earlier run has left. A file that cannot be understood is told of, and its object starts anew. */
  load(onDamaged: (path: string, why: string) => void): void {
    for (const path of yamlFiles(this.#directory)) {
      try {
        const object = parseObject(readFileSync(path, 'utf8'));
        const { namespace, name } = object.metadata;
        if (!this.#isOfKind(object) || this.#pathOf({ namespace, name }) !== path)
          throw new Error('it holds another object');
        this.#objects.set(keyOf(object.metadata), object);
      } catch (error) {
        onDamaged(path, error instanceof Error ? error.message : String(error));
      }
    }
  }

  useVersions(next: NextVersion): void {
    this.#nextVersion = next;
  }

  get(ref: ObjectRef): T | undefined {
    return this.#objects.get(keyOf(ref));
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  /** Stores what is not there yet. */
  create(object: T): T {
    return this.#put(object);
  }

  /** Changes the object that the caller saw; throws a quiet TransientError `conflict` when it is another by now, or gone. */
  update(seen: FolderObject, change: (current: T) => T): T {
    return this.#put(change(this.#current(seen)));
  }

  updateMetadata(seen: FolderObject, metadata: ObjectMeta): T {
    return this.update(seen, (current) => ({ ...current, metadata }));
  }

  remove(seen: FolderObject): void {
    const current = this.#current(seen);
    rmSync(this.#pathOf(current.metadata), { force: true });
    this.#objects.delete(keyOf(current.metadata));
  }

  #current(seen: FolderObject): T {
    const { namespace, name, uid, resourceVersion } = seen.metadata;
    const current = this.#objects.get(keyOf(seen.metadata));
    if (current === undefined || current.metadata.uid !== uid || current.metadata.resourceVersion !== resourceVersion) {
      throw new TransientError('conflict', `${seen.kind} ${namespace}/${name} has changed meanwhile`, { quiet: true });
    }
    return current;
  }

  #put(object: T): T {
    const metadata: ObjectMeta = { ...object.metadata, resourceVersion: this.#nextVersion() };
    const next: T = { ...object, metadata };
    const path = this.#pathOf(metadata);
    mkdirSync(dirname(path), { recursive: true });
    writeFileAtomically(path, formatObject(next), 0o644);
    this.#objects.set(keyOf(metadata), next);
    return next;
  }

  #pathOf({ namespace, name }: ObjectRef): string {
    return join(this.#directory, namespace, `${name}.yaml`);
  }
}

function yamlFiles(directory: string): string[] {
  const paths: string[] = [];
  for (const namespace of entries(directory)) {
    for (const file of entries(join(directory, namespace))) {
      if (file.endsWith('.yaml') && !TEMPORARY.test(file)) paths.push(join(directory, namespace, file));
    }
  }
  return paths;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return [];
    throw error;
  }
}
