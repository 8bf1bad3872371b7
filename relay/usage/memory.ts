import type { Counted } from '../occupancy/occupancy.ts';
import { BUCKETS, GRANULARITIES, type Granularity } from './buckets.ts';
import { addUp, type UsageCounts, type UsagePoint, type UsageSnapshot, type UsageStore } from './usage-store.ts';

type Bucket = { readonly replicas: Map<string, UsageCounts>; peak: number; readonly until: number };

/** What the replicas of one process, or of one test, share. */
export class MemoryUsageWorld {
  readonly #wallClock: () => number;
  readonly #buckets = new Map<string, Bucket>();
  #away = false;

  /** @param wallClock epoch milliseconds */
  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }

  store(replica: string): UsageStore {
    return {
      write: (appId, snapshot) => Promise.resolve(!this.#away && this.#write(replica, appId, snapshot)),
      read: (appId, granularity, starts) => Promise.resolve(this.#read(appId, granularity, starts)),
    };
  }

  #write(replica: string, appId: string, snapshot: UsageSnapshot): boolean {
    this.#sweep();
    const buckets = GRANULARITIES.map((granularity) => {
      const { start, counts } = snapshot[granularity];
      const bucket = this.#bucket(appId, granularity, start);
      bucket.replicas.set(replica, counts);
      return bucket;
    });
    const [minute, ...longer] = buckets;
    if (minute === undefined) return true;
    minute.peak = addUp(minute.replicas.values()).connectionsPeak;
    for (const bucket of longer) bucket.peak = Math.max(bucket.peak, minute.peak);
    return true;
  }

  #read(appId: string, granularity: Granularity, starts: readonly number[]): Counted<readonly UsagePoint[]> {
    this.#sweep();
    const value = starts.map((start) => {
      const bucket = this.#away ? undefined : this.#buckets.get(nameOf(appId, granularity, start));
      return { start, counts: { ...addUp(bucket?.replicas.values() ?? []), connectionsPeak: bucket?.peak ?? 0 } };
    });
    return { value, reached: !this.#away };
  }

  #bucket(appId: string, granularity: Granularity, start: number): Bucket {
    const name = nameOf(appId, granularity, start);
    const bucket = this.#buckets.get(name) ?? {
      replicas: new Map(),
      peak: 0,
      until: start + BUCKETS[granularity].kept,
    };
    this.#buckets.set(name, bucket);
    return bucket;
  }

  #sweep(): void {
    const now = this.#wallClock();
    for (const [name, { until }] of this.#buckets) if (until <= now) this.#buckets.delete(name);
  }
}

const nameOf = (appId: string, granularity: Granularity, start: number): string => `${appId}\n${granularity}\n${start}`;
