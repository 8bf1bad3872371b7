import { withinConnectionQuota } from '../limits/connection-quota.ts';
import type { Counted, LocalCounts, Occupancy } from './occupancy.ts';

/** What the replicas of one process, or of one test, share. */
export class MemoryOccupancyStore {
  readonly #replicas = new Set<LocalCounts>();
  #away = false;

  add(counts: LocalCounts): void {
    this.#replicas.add(counts);
  }
  remove(counts: LocalCounts): void {
    this.#replicas.delete(counts);
  }
  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }
  /** undefined: away. */
  others(of: LocalCounts): LocalCounts[] | undefined {
    return this.#away ? undefined : [...this.#replicas].filter((replica) => replica !== of);
  }
}

/** Standalone mode and unit tests: every replica's own counts are looked at directly, so `changed` has nothing to do. */
export class MemoryOccupancy implements Occupancy {
  readonly #store: MemoryOccupancyStore;
  readonly #local: LocalCounts;
  readonly #lastElsewhere = new Map<string, number>();

  constructor(store: MemoryOccupancyStore, local: LocalCounts) {
    this.#store = store;
    this.#local = local;
    store.add(local);
  }

  changed(): void {}

  channelsElsewhere(appId: string): Promise<Counted<ReadonlyMap<string, number>>> {
    const others = this.#store.others(this.#local);
    const value = new Map<string, number>();
    for (const other of others ?? []) {
      for (const [channel, count] of other.channels(appId)) value.set(channel, (value.get(channel) ?? 0) + count);
    }
    return Promise.resolve({ value, reached: others !== undefined });
  }

  channelElsewhere(appId: string, channel: string): Promise<Counted<number>> {
    const others = this.#store.others(this.#local);
    const value = (others ?? []).reduce((sum, other) => sum + other.subscriptions(appId, channel), 0);
    return Promise.resolve({ value, reached: others !== undefined });
  }

  admit(appId: string, limit: number): Promise<boolean> {
    const others = this.#store.others(this.#local);
    const elsewhere =
      others === undefined
        ? (this.#lastElsewhere.get(appId) ?? 0)
        : others.reduce((sum, other) => sum + other.connections(appId), 0);
    this.#lastElsewhere.set(appId, elsewhere);
    return Promise.resolve(withinConnectionQuota(limit, this.#local.connections(appId), elsewhere));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#store.remove(this.#local);
    return Promise.resolve();
  }
}
