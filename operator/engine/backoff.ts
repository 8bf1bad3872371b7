export type BackoffOptions = {
  /** First delay, milliseconds. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
};

/** Exponential backoff, doubling, with half of each delay random so that many clients do not return together. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds to wait after one more failure; never less than `atLeastMs` (a Retry-After). */
  next(atLeastMs = 0): number {
    const { baseMs, maxMs, random } = this.#options;
    const full = Math.min(baseMs * 2 ** Math.min(this.#failures, 30), maxMs);
    this.#failures += 1;
    return Math.max(full / 2 + (full / 2) * random(), atLeastMs);
  }

  reset(): void {
    this.#failures = 0;
  }
}
