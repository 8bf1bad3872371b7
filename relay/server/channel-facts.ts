import { z } from 'zod';
import type { EventCache } from '../cache/event-cache.ts';
import { parseChannelName } from '../protocol/channel-name.ts';
import type { Presence } from '../presence/presence.ts';
import type { ChannelCounts } from './channel-counts.ts';
import type { Info } from './info.ts';
import type { RelayMetrics } from './metrics.ts';

/** As the HTTP API tells it; only what was asked for, and what the kind of channel has. */
export const channelAttributes = z.object({
  subscription_count: z.int().optional(),
  user_count: z.int().optional(),
  cache: z
    .object({ data: z.string(), ttl: z.int().meta({ description: 'Seconds that are left.' }) })
    .nullable()
    .optional(),
});
export type ChannelAttributes = z.infer<typeof channelAttributes>;

export type ChannelFactsParts = {
  readonly counts: ChannelCounts;
  readonly presence: Pick<Presence, 'members' | 'userCounts'>;
  readonly cache: Pick<EventCache, 'last'>;
  readonly metrics: RelayMetrics;
};

/** What is known of channels, over all replicas. While Redis is away: what is known here, and a metric. */
export class ChannelFacts {
  readonly #parts: ChannelFactsParts;

  constructor(parts: ChannelFactsParts) {
    this.#parts = parts;
  }

  /** `user_count` of a channel that is not a presence channel is left out, `cache` of one that keeps nothing is null. */
  async of(appId: string, name: string, info: Info): Promise<ChannelAttributes> {
    const channel = parseChannelName(name);
    const isPresence = !('fault' in channel) && channel.kind === 'presence';
    const isCache = !('fault' in channel) && channel.cache;
    const [subscriptions, users, cached] = await Promise.all([
      info.subscriptionCount ? this.subscriptions(appId, name) : undefined,
      info.userCount && isPresence ? this.userCounts(appId, [name]) : undefined,
      info.cache && isCache ? this.#cached(appId, name) : null,
    ]);
    return {
      ...(subscriptions === undefined ? {} : { subscription_count: subscriptions }),
      ...(users === undefined ? {} : { user_count: users.get(name) ?? 0 }),
      ...(info.cache ? { cache: cached } : {}),
    };
  }

  subscriptions(appId: string, channel: string): Promise<number> {
    return this.#parts.counts.ofChannel(appId, channel);
  }

  /** Every occupied channel. */
  all(appId: string): Promise<ReadonlyMap<string, number>> {
    return this.#parts.counts.all(appId);
  }

  async userCounts(appId: string, channels: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#told(await this.#parts.presence.userCounts(appId, channels));
  }

  async userIds(appId: string, channel: string): Promise<string[]> {
    const members = this.#told(await this.#parts.presence.members(appId, channel));
    return members.map(({ userId }) => userId);
  }

  async #cached(appId: string, channel: string): Promise<{ data: string; ttl: number } | null> {
    const last = this.#told(await this.#parts.cache.last(appId, channel));
    if (last === undefined) return null;
    const { data } = keptEvent.parse(JSON.parse(`{${last.tail.toString()}`));
    return { data, ttl: Math.max(0, Math.ceil(last.expiresInMs / 1000)) };
  }

  #told<T>({ value, reached }: { readonly value: T; readonly reached: boolean }): T {
    if (!reached) this.#parts.metrics.degraded.inc({ part: 'counts' });
    return value;
  }
}

/** A tail (protocol/server-message.ts) and its opening brace. */
const keptEvent = z.object({ data: z.string() });
