import { Budget, type RateDecision } from './budget.ts';
import type { Monotonic } from './monotonic.ts';
import type { RateSubject } from './rate-subject.ts';
import type { RateStore } from './rate-store.ts';

/** How often unspent tokens are looked for, in milliseconds. */
export const SWEEP_MS = 250;
/** A budget that nobody has asked of for so long is forgotten here, in milliseconds; the store still knows it. */
const FORGET_MS = 60_000;

/** The budgets that this replica has to do with. */
export class RateLimiter implements AsyncDisposable {
  readonly #store: RateStore;
  readonly #now: Monotonic;
  readonly #degraded: () => void;
  readonly #budgets = new Map<string, Budget>();

  /** @param degraded called for each decision that is made without the store */
  constructor(store: RateStore, now: Monotonic, degraded: () => void = () => undefined) {
    this.#store = store;
    this.#now = now;
    this.#degraded = degraded;
  }

  /**
   * Spends one token of the subject's budget. The answer is at hand when this replica holds tokens, or knows that there are none; else it
   * comes after one question to the store. Never rejects.
   */
  take({ appId, budget: name, rate }: RateSubject): RateDecision | Promise<RateDecision> {
    const key = `${appId}\n${name}`;
    let budget = this.#budgets.get(key);
    if (budget === undefined) {
      budget = new Budget({ store: this.#store, id: { appId, name }, now: this.#now, degraded: this.#degraded }, rate);
      this.#budgets.set(key, budget);
    }
    return budget.take(rate);
  }

  /** Hands back what was not spent and forgets what is not used any more. To be called every {@link SWEEP_MS}. */
  sweep(): void {
    for (const [key, budget] of this.#budgets) {
      if (budget.idleMs() > FORGET_MS && budget.settled()) this.#budgets.delete(key);
      else budget.handBackWhenIdle();
    }
  }

  /** Hands back everything, so that the other replicas need not wait for the refill. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#budgets.values()].map((budget) => budget.handBack()));
    this.#budgets.clear();
  }
}

/** Sweeps by itself until it is disposed of. */
export function keepSweeping(limiter: RateLimiter): Disposable {
  const timer = setInterval(() => limiter.sweep(), SWEEP_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
