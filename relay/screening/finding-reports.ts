const EVERY_MS = 60_000;
/** Beyond so many, those that are due are forgotten first. */
const MOST = 1_000;

/** How often people are told of the same kind of finding: once a minute, with how many there were since the last time. */
export class FindingReports {
  readonly #now: () => number;
  readonly #told = new Map<string, { at: number; since: number }>();

  /** @param now milliseconds since some moment */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** How many to tell of now; undefined: it was told of just now, they are counted until the next time. */
  add(kind: string, count: number): number | undefined {
    const now = this.#now();
    const last = this.#told.get(kind);
    if (last !== undefined && now - last.at < EVERY_MS) {
      last.since += count;
      return undefined;
    }
    if (this.#told.size >= MOST) this.#prune(now);
    this.#told.set(kind, { at: now, since: 0 });
    return count + (last?.since ?? 0);
  }

  #prune(now: number): void {
    for (const [kind, { at }] of this.#told) if (now - at >= EVERY_MS) this.#told.delete(kind);
  }
}
