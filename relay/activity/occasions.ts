/** Beyond so many, those that are due are forgotten first. */
const MOST = 1_000;

/** How often people are told of the same kind of thing: once in a while, with how many there were since the last time. */
export class Occasions {
  readonly #now: () => number;
  readonly #everyMs: number;
  readonly #told = new Map<string, { at: number; since: number }>();
  #prunedAt = 0;

  /** @param now milliseconds since some moment */
  constructor(now: () => number, everyMs: number) {
    this.#now = now;
    this.#everyMs = everyMs;
  }

  /** How many to tell of now; undefined: it was told of just now, they are counted until the next time. */
  add(kind: string, count: number): number | undefined {
    const now = this.#now();
    const last = this.#told.get(kind);
    if (last !== undefined && now - last.at < this.#everyMs) {
      last.since += count;
      return undefined;
    }
    if (this.#told.size >= MOST && now - this.#prunedAt >= this.#everyMs) this.#prune(now);
    this.#told.set(kind, { at: now, since: 0 });
    return count + (last?.since ?? 0);
  }

  #prune(now: number): void {
    // Not for each that is new: looking through all of them is what somebody could ask for again and again.
    this.#prunedAt = now;
    for (const [kind, { at }] of this.#told) if (now - at >= this.#everyMs) this.#told.delete(kind);
  }
}
