import type { Monotonic } from '../limits/monotonic.ts';
import type { Counted } from '../occupancy/occupancy.ts';
import { MISS_MEMORY_MS, type CachedEvent, type EventCache } from './event-cache.ts';

type Kept = { readonly tail: Buffer | undefined; readonly until: number };

/** The cache of one process; replicas of one test share an instance. */
export class MemoryEventCache implements EventCache {
  readonly #now: Monotonic;
  readonly #apps = new Map<string, Map<string, Kept>>();
  #sweptAt: number;
  #away = false;

  constructor(now: Monotonic) {
    this.#now = now;
    this.#sweptAt = now();
  }

  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }

  keep(appId: string, channel: string, tail: Buffer, ttlMs: number, most: number): Promise<void> {
    if (!this.#away) {
      this.#put(appId, channel, tail, ttlMs);
      this.#dropBeyond(appId, most);
    }
    return Promise.resolve();
  }

  last(appId: string, channel: string): Promise<Counted<CachedEvent | undefined>> {
    const kept = this.#living(appId, channel);
    if (this.#away || kept?.tail === undefined) return Promise.resolve({ value: undefined, reached: !this.#away });
    return Promise.resolve({ value: { tail: kept.tail, expiresInMs: kept.until - this.#now() }, reached: true });
  }

  firstMiss(appId: string, channel: string): Promise<boolean> {
    if (this.#away || this.#living(appId, channel) !== undefined) return Promise.resolve(false);
    this.#put(appId, channel, undefined, MISS_MEMORY_MS);
    return Promise.resolve(true);
  }

  #living(appId: string, channel: string): Kept | undefined {
    const kept = this.#apps.get(appId)?.get(channel);
    return kept !== undefined && kept.until > this.#now() ? kept : undefined;
  }

  #put(appId: string, channel: string, tail: Buffer | undefined, ttlMs: number): void {
    const kept = this.#apps.get(appId) ?? new Map<string, Kept>();
    this.#apps.set(appId, kept);
    // Anew, so that the order is that in which their time ends.
    kept.delete(channel);
    kept.set(channel, { tail, until: this.#now() + ttlMs });
    this.#sweep();
  }

  #dropBeyond(appId: string, most: number): void {
    const kept = this.#apps.get(appId) ?? new Map<string, Kept>();
    let over = kept.size - most;
    for (const channel of kept.keys()) {
      if (over <= 0) return;
      kept.delete(channel);
      over -= 1;
    }
  }

  /** Now and then, on the way: what nobody asks for again must not stay. */
  #sweep(): void {
    if (this.#now() - this.#sweptAt < MISS_MEMORY_MS) return;
    this.#sweptAt = this.#now();
    for (const [appId, kept] of this.#apps) {
      for (const [channel, { until }] of kept) if (until <= this.#now()) kept.delete(channel);
      if (kept.size === 0) this.#apps.delete(appId);
    }
  }
}
