import type { Occupancy } from '../occupancy/occupancy.ts';
import type { RelayMetrics } from './metrics.ts';

/** Subscriptions over all replicas, as far as they can be asked; a metric says when they cannot. */
export class ChannelCounts {
  readonly #occupancy: Occupancy;
  readonly #metrics: RelayMetrics;

  constructor(occupancy: Occupancy, metrics: RelayMetrics) {
    this.#occupancy = occupancy;
    this.#metrics = metrics;
  }

  async ofChannel(appId: string, channel: string): Promise<number> {
    const { value, reached } = await this.#occupancy.subscriptions(appId, channel);
    if (!reached) this.#metrics.degraded.inc({ part: 'counts' });
    return value;
  }

  /** Every occupied channel. */
  async all(appId: string): Promise<ReadonlyMap<string, number>> {
    const { value, reached } = await this.#occupancy.channels(appId);
    if (!reached) this.#metrics.degraded.inc({ part: 'counts' });
    return value;
  }
}
