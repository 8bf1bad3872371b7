import { compareResourceVersions } from './object.ts';

/**
 * Enough for every object deleted while one request of ours may still be under way: 30 seconds at 400 deletions a second,
 * and some more. About 2 MB when full.
 */
const CAPACITY = 20_000;

/** Remembers which objects were deleted, by UID, and as of which resource version. Forgets the oldest first. */
export class Tombstones {
  readonly #deleted = new Map<string, string | undefined>();
  readonly #capacity: number;

  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
  }

  add(uid: string, resourceVersion: string | undefined): void {
    const known = this.#deleted.get(uid);
    this.#deleted.delete(uid);
    const newer = compareResourceVersions(known, resourceVersion) > 0 ? known : resourceVersion;
    this.#deleted.set(uid, newer);
    if (this.#deleted.size <= this.#capacity) return;
    for (const oldest of this.#deleted.keys()) {
      this.#deleted.delete(oldest);
      return;
    }
  }

  /** True when a state of this object, at this version, is older than its deletion. */
  covers(uid: string, resourceVersion: string | undefined): boolean {
    return this.#deleted.has(uid) && compareResourceVersions(resourceVersion, this.#deleted.get(uid)) <= 0;
  }

  clear(): void {
    this.#deleted.clear();
  }
}
