import type { Monotonic } from '../limits/monotonic.ts';
import type { Counted } from '../occupancy/occupancy.ts';
import { MISS_MEMORY_MS, type CachedEvent, type EventCache } from './event-cache.ts';

type Kept = { readonly tail: Buffer | undefined; readonly until: number };

/** The cache of one process; replicas of one test share an instance. */
export class MemoryEventCache implements EventCache {
  readonly #now: Monotonic;
  readonly #kept = new Map<string, Kept>();
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

  keep(appId: string, channel: string, tail: Buffer, ttlMs: number): Promise<void> {
    if (!this.#away) this.#put(nameOf(appId, channel), tail, ttlMs);
    return Promise.resolve();
  }

  last(appId: string, channel: string): Promise<Counted<CachedEvent | undefined>> {
    const kept = this.#living(nameOf(appId, channel));
    if (this.#away || kept?.tail === undefined) return Promise.resolve({ value: undefined, reached: !this.#away });
    return Promise.resolve({ value: { tail: kept.tail, expiresInMs: kept.until - this.#now() }, reached: true });
  }

  firstMiss(appId: string, channel: string): Promise<boolean> {
    const name = nameOf(appId, channel);
    if (this.#away || this.#living(name) !== undefined) return Promise.resolve(false);
    this.#put(name, undefined, MISS_MEMORY_MS);
    return Promise.resolve(true);
  }

  #living(name: string): Kept | undefined {
    const kept = this.#kept.get(name);
    return kept !== undefined && kept.until > this.#now() ? kept : undefined;
  }

  #put(name: string, tail: Buffer | undefined, ttlMs: number): void {
    this.#kept.set(name, { tail, until: this.#now() + ttlMs });
    this.#sweep();
  }

  /** Now and then, on the way: what nobody asks for again must not stay. */
  #sweep(): void {
    if (this.#now() - this.#sweptAt < MISS_MEMORY_MS) return;
    this.#sweptAt = this.#now();
    for (const [name, { until }] of this.#kept) if (until <= this.#now()) this.#kept.delete(name);
  }
}

const nameOf = (appId: string, channel: string): string => `${appId}\n${channel}`;
