import type { LocalCounts, Occupancy } from '../occupancy/occupancy.ts';
import type { RelayMetrics } from './metrics.ts';

/** Subscriptions over all replicas: this one's exact numbers and what the others told. */
export class ChannelCounts {
  readonly #local: LocalCounts;
  readonly #occupancy: Occupancy;
  readonly #metrics: RelayMetrics;

  constructor(local: LocalCounts, occupancy: Occupancy, metrics: RelayMetrics) {
    this.#local = local;
    this.#occupancy = occupancy;
    this.#metrics = metrics;
  }

  async ofChannel(appId: string, channel: string): Promise<number> {
    const { value, reached } = await this.#occupancy.channelElsewhere(appId, channel);
    if (!reached) this.#metrics.degraded.inc({ part: 'counts' });
    return this.#local.subscriptions(appId, channel) + value;
  }

  /** Every occupied channel. */
  async all(appId: string): Promise<Map<string, number>> {
    const { value, reached } = await this.#occupancy.channelsElsewhere(appId);
    if (!reached) this.#metrics.degraded.inc({ part: 'counts' });
    const counts = new Map(value);
    for (const [channel, count] of this.#local.channels(appId)) counts.set(channel, (counts.get(channel) ?? 0) + count);
    return counts;
  }
}
