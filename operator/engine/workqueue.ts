import type { Clock } from './clock.ts';
import { DelayHeap } from './delay-heap.ts';
import type { Delayed } from './delay-heap.ts';
import { Lane } from './lane.ts';
import type { Key } from './object.ts';

/** `high`: deletions, which nothing may hold up. `normal`: news. `low`: resyncs, retries and everything that nobody is waiting for. */
export type Priority = 'high' | 'normal' | 'low';

/** What a queue reports about itself; the figures behind the `workqueue_*` metrics. */
export type WorkQueueObserver = {
  added(): void;
  depth(depth: number): void;
  retried(): void;
  /** Seconds from being added to being taken up. */
  waited(seconds: number): void;
  /** Seconds from being taken up to done. */
  worked(seconds: number): void;
};

export type WorkQueueOptions = {
  readonly clock: Clock;
  readonly observer?: WorkQueueObserver | undefined;
  /** Delay after a key's first failure, milliseconds; doubles with each further one. */
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
};

const LANES = ['high', 'normal', 'low'] as const;
const RANK: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };

/** A lane with work is passed over this often in a row at most; so `low` gets at least about a tenth of all turns. */
const MOST_PASSES = 8;

/**
 * A level-triggered queue of keys, after client-go's workqueue. A key is in it once however often it is added; it is never given to two
 * workers at once; added while it is worked on, it comes back when that is done. Fresh work passes resyncs and retries,
 * which still get their share.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #observer: WorkQueueObserver | undefined;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #lanes: readonly [Lane, Lane, Lane] = [new Lane(), new Lane(), new Lane()];
  readonly #passed: [number, number, number] = [0, 0, 0];
  readonly #processing = new Map<Key, number>();
  /** Added while being worked on. */
  readonly #again = new Map<Key, Priority>();
  readonly #failures = new Map<Key, number>();
  readonly #delays = new DelayHeap<Key>();
  readonly #delayed = new Map<Key, { entry: Delayed<Key>; priority: Priority }>();
  readonly #waiters: ((key: Key | undefined) => void)[] = [];
  #timer: { readonly at: number; readonly abort: AbortController } | undefined;
  #paused = false;
  #stopped = false;

  constructor({ clock, observer, baseDelayMs = 5, maxDelayMs = 1_000_000 }: WorkQueueOptions) {
    this.#clock = clock;
    this.#observer = observer;
    this.#baseDelayMs = baseDelayMs;
    this.#maxDelayMs = maxDelayMs;
  }

  /** Keys ready to be taken up. */
  get depth(): number {
    return this.#lanes[0].size + this.#lanes[1].size + this.#lanes[2].size;
  }

  /** Asks for `key` to be worked on. Adding it again with a higher priority lifts it; a lower one changes nothing. */
  add(key: Key, { priority = 'normal' }: { readonly priority?: Priority } = {}): void {
    if (this.#stopped) return;
    if (this.#processing.has(key)) {
      const before = this.#again.get(key);
      if (before === undefined) this.#observer?.added();
      if (before === undefined || RANK[priority] < RANK[before]) this.#again.set(key, priority);
      return;
    }
    const rank = RANK[priority];
    const queued = this.#lanes.findIndex((lane) => lane.has(key));
    if (queued >= 0 && queued <= rank) return;
    // Lifted into a faster lane, it keeps the time since when it has waited.
    const since = queued < 0 ? undefined : this.#lanes[queued]?.remove(key);
    if (since === undefined) this.#observer?.added();
    this.#lane(rank).add(key, since ?? this.#clock.monotonic());
    this.#observer?.depth(this.depth);
    this.#dispatch();
  }

  /** Adds `key` in `ms`. Of several delays for one key the one that ends first holds, with the highest priority of all. */
  addAfter(key: Key, ms: number, { priority = 'low' }: { readonly priority?: Priority } = {}): void {
    if (this.#stopped) return;
    if (ms <= 0) {
      this.add(key, { priority });
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const before = this.#delayed.get(key);
    if (before === undefined) {
      this.#delayed.set(key, { entry: this.#delays.push(at, key), priority });
    } else {
      if (RANK[priority] < RANK[before.priority]) before.priority = priority;
      if (before.entry.at <= at) return;
      before.entry.dropped = true;
      before.entry = this.#delays.push(at, key);
    }
    this.#arm();
  }

  /** Adds `key` after its backoff, which doubles with every call until `forget`; never sooner than `atLeastMs`. */
  addRateLimited(
    key: Key,
    { priority = 'low', atLeastMs = 0 }: { readonly priority?: Priority; readonly atLeastMs?: number } = {},
  ): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observer?.retried();
    const delay = Math.min(this.#baseDelayMs * 2 ** Math.min(failures, 60), this.#maxDelayMs);
    this.addAfter(key, Math.max(delay, atLeastMs), { priority });
  }

  /** How often `key` has failed since it was last forgotten. */
  failures(key: Key): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key succeeded: its next failure starts from the shortest delay. */
  forget(key: Key): void {
    this.#failures.delete(key);
  }

  /** The next key; waits for one. undefined: the queue is shut down. Each key taken must be given back with `done`. */
  get(): Promise<Key | undefined> {
    if (this.#stopped) return Promise.resolve(undefined);
    const key = this.#take();
    if (key !== undefined) return Promise.resolve(key);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  done(key: Key): void {
    const since = this.#processing.get(key);
    if (since === undefined) return;
    this.#processing.delete(key);
    this.#observer?.worked((this.#clock.monotonic() - since) / 1000);
    const priority = this.#again.get(key);
    this.#again.delete(key);
    if (priority === undefined || this.#stopped) return;
    this.#lane(RANK[priority]).add(key, this.#clock.monotonic());
    this.#observer?.depth(this.depth);
    this.#dispatch();
  }

  /** While a backend is down: gives out `high` keys only. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#dispatch();
  }

  /**
   * No key is given out any more and every `get` resolves to undefined. What is queued is dropped: the queue is level-triggered,
   * so the next start finds the same work again, and after a lost lease nothing more may be started.
   */
  shutDown(): void {
    this.#stopped = true;
    for (const lane of this.#lanes) lane.clear();
    this.#again.clear();
    this.#delayed.clear();
    this.#timer?.abort.abort();
    this.#observer?.depth(0);
    for (const resolve of this.#waiters.splice(0)) resolve(undefined);
  }

  /** Seconds for which each key being worked on has been so. */
  running(): number[] {
    const now = this.#clock.monotonic();
    return [...this.#processing.values()].map((since) => (now - since) / 1000);
  }

  #lane(rank: number): Lane {
    return this.#lanes[rank] ?? this.#lanes[2];
  }

  #dispatch(): void {
    while (this.#waiters.length > 0) {
      const key = this.#take();
      if (key === undefined) return;
      this.#waiters.shift()?.(key);
    }
  }

  #take(): Key | undefined {
    const rank = this.#choose();
    if (rank === undefined) return undefined;
    const taken = this.#lane(rank).take();
    if (taken === undefined) return undefined;
    const now = this.#clock.monotonic();
    this.#processing.set(taken.key, now);
    this.#observer?.waited((now - taken.since) / 1000);
    this.#observer?.depth(this.depth);
    return taken.key;
  }

  /** The fastest lane with work, unless a slower one has been passed over long enough. */
  #choose(): number | undefined {
    const open = this.#paused ? [0] : LANES.map((_, rank) => rank);
    const ready = open.filter((rank) => this.#lane(rank).size > 0);
    const chosen = ready.find((rank) => (this.#passed[rank] ?? 0) >= MOST_PASSES) ?? ready[0];
    for (const rank of ready) this.#passed[rank] = rank === chosen ? 0 : (this.#passed[rank] ?? 0) + 1;
    return chosen;
  }

  /** One timer for all delays, set to the next one. */
  #arm(): void {
    const at = this.#delays.next();
    if (at === undefined || this.#stopped || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.abort.abort();
    const timer = { at, abort: new AbortController() };
    this.#timer = timer;
    void this.#releaseAt(at, timer.abort.signal);
  }

  async #releaseAt(at: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(at - this.#clock.monotonic(), signal);
    } catch {
      // An earlier delay took over, or the queue is shut down.
      return;
    }
    this.#timer = undefined;
    this.#release();
    this.#arm();
  }

  #release(): void {
    const now = this.#clock.monotonic();
    for (let key = this.#delays.due(now); key !== undefined; key = this.#delays.due(now)) {
      const priority = this.#delayed.get(key)?.priority ?? 'low';
      this.#delayed.delete(key);
      this.add(key, { priority });
    }
  }
}
