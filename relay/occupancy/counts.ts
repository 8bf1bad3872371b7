import { withinConnectionQuota } from '../limits/connection-quota.ts';
import { CONNECTIONS, userField } from './fields.ts';
import type { Counted, LocalCounts, Occupancy } from './occupancy.ts';
import type { OccupancyStore } from './store.ts';
import type { Writer } from './writer.ts';

export type Liveness = {
  readonly isLiving: (replica: string) => boolean;
  /** Somebody wants to know the app's numbers: they shall be looked through for those of the dead. */
  readonly asked: (appId: string) => void;
};

/** Occupancy over a store: what the store sums up, with this replica's part replaced by what it is in this moment. */
export class Counts implements Occupancy {
  readonly #store: OccupancyStore;
  readonly #writer: Writer;
  readonly #local: LocalCounts;
  readonly #liveness: Liveness;

  constructor(store: OccupancyStore, writer: Writer, local: LocalCounts, liveness: Liveness) {
    this.#store = store;
    this.#writer = writer;
    this.#local = local;
    this.#liveness = liveness;
  }

  changed(appId: string, channel: string | undefined): void {
    this.#writer.changed(appId, channel ?? CONNECTIONS);
  }

  async channels(appId: string): Promise<Counted<ReadonlyMap<string, number>>> {
    this.#liveness.asked(appId);
    const asked = this.#store.totals(appId);
    const mine = (field: string): number => this.#writer.toldAhead(appId, field);
    // Now, in the order in which the store gets question and writes.
    const told = new Map([...this.#local.channels(appId)].map(([channel]) => [channel, mine(channel)]));
    const totals = await asked;
    const value = new Map<string, number>();
    for (const [field, total] of totals ?? []) {
      if (field.startsWith(CONNECTIONS)) continue;
      const elsewhere = total - (told.get(field) ?? mine(field));
      if (elsewhere > 0) value.set(field, elsewhere);
    }
    for (const [channel, count] of this.#local.channels(appId)) {
      if (!channel.startsWith(CONNECTIONS)) value.set(channel, (value.get(channel) ?? 0) + count);
    }
    return { value, reached: totals !== undefined };
  }

  async subscriptions(appId: string, channel: string): Promise<Counted<number>> {
    const { value, reached } = await this.#sums(appId, [channel], () => [this.#local.subscriptions(appId, channel)]);
    return { value: value[0] ?? 0, reached };
  }

  async connections(appId: string): Promise<Counted<number>> {
    const { value, reached } = await this.#sums(appId, [CONNECTIONS], () => [this.#local.connections(appId)]);
    return { value: value[0] ?? 0, reached };
  }

  async online(appId: string, userIds: readonly string[]): Promise<Counted<ReadonlySet<string>>> {
    const fields = userIds.map(userField);
    const here = (): number[] => fields.map((field) => this.#local.subscriptions(appId, field));
    const { value, reached } = await this.#sums(appId, fields, here);
    return { value: new Set(userIds.filter((_, index) => (value[index] ?? 0) > 0)), reached };
  }

  async admit(appId: string, limit: number, gone: () => boolean): Promise<boolean> {
    const granted = await this.#writer.claim(appId, limit, gone);
    if (granted !== 'away') return granted;
    return withinConnectionQuota(limit, this.#local.connections(appId), this.#writer.connectionsElsewhere(appId));
  }

  async replicas(appId: string): Promise<Counted<readonly string[]>> {
    const holders = await this.#store.holders(appId);
    const others = (holders ?? []).filter(
      (replica) => replica !== this.#store.replica && this.#liveness.isLiving(replica),
    );
    const here = this.#local.connections(appId) > 0 ? [this.#store.replica] : [];
    return { value: [...here, ...others], reached: holders !== undefined };
  }

  async #sums(appId: string, fields: readonly string[], here: () => number[]): Promise<Counted<number[]>> {
    if (fields.length === 0) return { value: [], reached: true };
    this.#liveness.asked(appId);
    const asked = this.#store.total(appId, fields);
    const told = fields.map((field) => this.#writer.toldAhead(appId, field));
    const totals = await asked;
    const value = here().map((count, index) => count + Math.max((totals?.[index] ?? 0) - (told[index] ?? 0), 0));
    return { value, reached: totals !== undefined };
  }
}
