/**
 * A first-in-first-out set of keys, each with the time it came in. One iterator lives on, because starting a new one at the
 * front of a Map steps over every deleted entry again, which makes draining a long queue quadratic.
 */
export class Lane {
  readonly #keys = new Map<string, number>();
  #front: MapIterator<[string, number]> | undefined;

  get size(): number {
    return this.#keys.size;
  }

  /** Appends; a key already there keeps its place. */
  add(key: string, at: number): void {
    if (!this.#keys.has(key)) this.#keys.set(key, at);
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Takes a key out, and says since when it was there. */
  remove(key: string): number | undefined {
    const at = this.#keys.get(key);
    this.#keys.delete(key);
    return at;
  }

  /** Takes the oldest key out, with the time since when it was there; undefined when the lane is empty. */
  take(): { readonly key: string; readonly since: number } | undefined {
    while (this.#keys.size > 0) {
      this.#front ??= this.#keys.entries();
      const next = this.#front.next();
      if (next.done === true) {
        this.#front = undefined;
        continue;
      }
      const [key, since] = next.value;
      this.#keys.delete(key);
      return { key, since };
    }
    return undefined;
  }

  clear(): void {
    this.#keys.clear();
    this.#front = undefined;
  }
}
