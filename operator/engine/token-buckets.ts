import type { Clock } from './clock.ts';

export type TokenBucketsOptions = {
  readonly clock: Clock;
  /** Tokens that a full bucket holds. */
  readonly burst: number;
  /** Milliseconds for one more token. */
  readonly refillMs: number;
  /** Buckets remembered; the one unused longest goes first, and starts full when it is needed again. */
  readonly capacity?: number;
};

/** One token bucket per name. */
export class TokenBuckets {
  readonly #options: Required<TokenBucketsOptions>;
  readonly #buckets = new Map<string, { readonly tokens: number; readonly at: number }>();

  constructor(options: TokenBucketsOptions) {
    this.#options = { capacity: 4096, ...options };
  }

  /** Takes one token; false when there is none. */
  take(name: string): boolean {
    const { clock, burst, refillMs, capacity } = this.#options;
    const at = clock.monotonic();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, at };
    const tokens = Math.min(burst, bucket.tokens + (at - bucket.at) / refillMs);
    const enough = tokens >= 1;
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: enough ? tokens - 1 : tokens, at });
    if (this.#buckets.size > capacity) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return enough;
  }
}
