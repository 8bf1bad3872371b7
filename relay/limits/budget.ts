import type { Rate } from '#crds/rate.ts';
import type { Monotonic } from './monotonic.ts';
import type { BudgetId, RateStore } from './rate-store.ts';
import { takeToken, type Bucket } from './token-bucket.ts';

export type RateDecision = {
  readonly admitted: boolean;
  /** Requests that could be made at once, as far as this replica knows. */
  readonly remaining: number;
  /** Until there is one more, in whole seconds, at least 1. */
  readonly nextInSeconds: number;
};

export type BudgetParts = {
  readonly store: RateStore;
  readonly id: BudgetId;
  readonly now: Monotonic;
  /** Called for each decision that is made without the store. */
  readonly degraded: () => void;
};

/** The pace is counted with this memory, in milliseconds. */
const PACE_MS = 1_000;
/** Tokens are taken ahead for so many times {@link PACE_MS}. */
const AHEAD = 2;
const LEAST_AHEAD = 2;
/** Nobody asked for so long: what is held goes back, in milliseconds. */
const IDLE_MS = 1_000;
/** Others may be quicker to spend what was fetched, but not this often; after that it counts as nothing left. */
const MOST_QUESTIONS = 8;
/** While the store is away it is asked again this often, in milliseconds. */
const PROBE_MS = 250;

/**
 * One replica's part in a shared budget. Tokens are leased from the store in batches that follow demand, spent from memory, taken ahead in
 * the background, and handed back when nobody wants them. So the store never gives out more than the budget has, and most requests do not
 * wait for it. When it says that nothing is left, requests are refused from memory until something can have come. When it is away, this
 * replica goes on with its share of the rate, and tells the store afterwards.
 */
export class Budget {
  readonly #store: RateStore;
  readonly #id: BudgetId;
  readonly #now: Monotonic;
  readonly #degraded: () => void;
  #rate: Rate;
  /** Another rule makes what was leased under the former one void. */
  #ruleVersion = 0;
  #held = 0;
  /** The last batch: when little of it is left, the next one is fetched. */
  #batch = 0;
  /** What the store had left when it last answered. */
  #left: { readonly tokens: number; readonly at: number } | undefined;
  #asking: Promise<void> | undefined;
  #waiting = 0;
  #takenAt: number;
  /** Requests of the last moments, each forgotten by and by. */
  #pace = 0;
  /** Tokens to hand back with the next question. */
  #unspent = 0;
  /** Admitted while the store was away. */
  #debt = 0;
  /** This replica's share while the store is away, and when it was last asked. */
  #alone: { bucket: Bucket; probedAt: number } | undefined;

  constructor({ store, id, now, degraded }: BudgetParts, rate: Rate) {
    this.#store = store;
    this.#id = id;
    this.#now = now;
    this.#degraded = degraded;
    this.#rate = rate;
    this.#takenAt = now();
  }

  /** @param rate as it is now: another one holds at once. */
  take(rate: Rate): RateDecision | Promise<RateDecision> {
    if (rate !== this.#rate && !sameRate(rate, this.#rate)) this.#setRate(rate);
    const now = this.#now();
    this.#pace = this.#pace * Math.exp((this.#takenAt - now) / PACE_MS) + 1;
    this.#takenAt = now;
    return this.#decide() ?? this.#wait();
  }

  idleMs(): number {
    return this.#now() - this.#takenAt;
  }

  /** Nothing would be lost by forgetting this. */
  settled(): boolean {
    return this.#held === 0 && this.#unspent === 0 && this.#asking === undefined && this.#debt === 0;
  }

  handBackWhenIdle(): void {
    if (this.#held + this.#unspent + this.#debt === 0 || this.idleMs() < IDLE_MS || this.#asking !== undefined) return;
    if (this.#alone === undefined || this.#mayProbe()) void this.handBack();
  }

  async handBack(): Promise<void> {
    await this.#asking;
    if (this.#held + this.#unspent + this.#debt === 0) return;
    this.#unspent += this.#held;
    this.#held = 0;
    this.#asking ??= this.#ask(0);
    await this.#asking;
  }

  #setRate(rate: Rate): void {
    this.#rate = rate;
    this.#ruleVersion += 1;
    this.#unspent += this.#held;
    this.#held = 0;
    this.#batch = 0;
    this.#left = undefined;
    if (this.#alone !== undefined) this.#alone.bucket = this.#share();
  }

  /** undefined: only the store knows. */
  #decide(): RateDecision | undefined {
    if (this.#held > 0) {
      this.#held -= 1;
      if (this.#held * 4 < this.#batch) this.#askAhead();
      return this.#verdict(true, this.#held + this.#leftNow());
    }
    if (this.#alone !== undefined) return this.#decideAlone(this.#alone);
    return this.#left !== undefined && this.#leftNow() < 1 ? this.#verdict(false, this.#leftNow()) : undefined;
  }

  #decideAlone(alone: { bucket: Bucket; probedAt: number }): RateDecision {
    if (this.#asking === undefined && this.#mayProbe()) this.#asking = this.#ask(1);
    this.#degraded();
    const { bucket, taken } = takeToken(alone.bucket, this.#rateAlone(), this.#now());
    alone.bucket = bucket;
    if (taken) this.#debt += 1;
    return this.#verdict(taken, bucket.tokens, this.#rateAlone().perSecond);
  }

  async #wait(): Promise<RateDecision> {
    this.#waiting += 1;
    try {
      for (let questions = 0; questions < MOST_QUESTIONS; questions += 1) {
        this.#asking ??= this.#ask(this.#waiting + this.#ahead());
        await this.#asking;
        const decision = this.#decide();
        if (decision !== undefined) return decision;
      }
      return this.#verdict(false, 0);
    } finally {
      this.#waiting -= 1;
    }
  }

  #askAhead(): void {
    if (this.#asking !== undefined || this.#leftNow() < 4) return;
    const ahead = this.#ahead();
    if (ahead > 0) this.#asking = this.#ask(ahead);
  }

  /** How many tokens to take beyond those that are waited for. */
  #ahead(): number {
    const expected = Math.floor(AHEAD * (this.#pace - 1));
    // Of one request in a while nothing would be left to do but to hand back.
    return expected < LEAST_AHEAD ? 0 : expected;
  }

  async #ask(want: number): Promise<void> {
    const ruleVersion = this.#ruleVersion;
    const debt = this.#debt;
    const back = this.#unspent - debt;
    this.#unspent = 0;
    const need = Math.min(this.#waiting, want);
    const lease = await this.#store.lease(this.#id, this.#rate, { need, want, back });
    this.#asking = undefined;
    if (lease === undefined) {
      // Also when it was another rule's: what it may have granted is lost.
      this.#alone ??= { bucket: this.#share(), probedAt: 0 };
      this.#alone.probedAt = this.#now();
      return;
    }
    this.#debt -= debt;
    this.#alone = undefined;
    if (ruleVersion !== this.#ruleVersion) {
      this.#unspent += lease.granted;
      return;
    }
    this.#held += lease.granted;
    if (lease.granted > 0) this.#batch = lease.granted;
    this.#left = { tokens: lease.left, at: this.#now() };
  }

  /** What the store has left by now, if nobody else has taken anything. */
  #leftNow(): number {
    const left = this.#left;
    if (left === undefined) return 0;
    const { requestsPerMinute, burst } = this.#rate;
    return Math.min(burst, left.tokens + ((this.#now() - left.at) * requestsPerMinute) / 60_000);
  }

  #mayProbe(): boolean {
    return this.#alone !== undefined && this.#now() - this.#alone.probedAt >= PROBE_MS;
  }

  #rateAlone(): { readonly perSecond: number; readonly burst: number } {
    const replicas = this.#store.replicas();
    const { requestsPerMinute, burst } = this.#rate;
    // Less than one token would block.
    return { perSecond: requestsPerMinute / 60 / replicas, burst: Math.max(1, burst / replicas) };
  }

  /** A share of what was left when the store was last heard: its going away is no gift. */
  #share(): Bucket {
    const tokens = this.#left === undefined ? this.#rateAlone().burst : this.#leftNow() / this.#store.replicas();
    return { tokens, at: this.#now() };
  }

  #verdict(admitted: boolean, tokens: number, perSecond = this.#rate.requestsPerMinute / 60): RateDecision {
    const missing = admitted ? 1 : Math.max(0, 1 - tokens);
    return {
      admitted,
      remaining: Math.min(this.#rate.burst, Math.floor(tokens)),
      nextInSeconds: Math.max(1, Math.ceil(missing / perSecond)),
    };
  }
}

const sameRate = (one: Rate, other: Rate): boolean =>
  one.requestsPerMinute === other.requestsPerMinute && one.burst === other.burst;
