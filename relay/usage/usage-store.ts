import type { Counted } from '../occupancy/occupancy.ts';
import type { Granularity } from './buckets.ts';

/** What is counted. `connectionsPeak`: most sockets at once; the others are sums. */
export type UsageCounts = {
  readonly connectionsPeak: number;
  readonly connectionsOpened: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly apiCalls: number;
};

export const NO_USAGE: UsageCounts = {
  connectionsPeak: 0,
  connectionsOpened: 0,
  messagesIn: 0,
  messagesOut: 0,
  apiCalls: 0,
};

/** One replica's own numbers so far, for a minute and the hour and day that it is in. `start` in epoch milliseconds. */
export type UsageSnapshot = Readonly<Record<Granularity, { readonly start: number; readonly counts: UsageCounts }>>;

/** A bucket over all replicas. */
export type UsagePoint = { readonly start: number; readonly counts: UsageCounts };

/**
 * Usage of apps over all replicas.
 *
 * An adapter MUST
 * - take absolute numbers of one replica and boot, so that a repeated or lost write heals by itself, and add up those of different ones;
 * - tell as peak of a minute the sum of the replicas' peaks in it, and as peak of an hour or day the highest of its minutes;
 * - forget a bucket when its time (buckets.ts) is over, and keep apps apart.
 *
 * An adapter MUST NOT reject or wait long because the store is away: `write` answers false then, and `read` says so.
 */
export interface UsageStore {
  write(appId: string, snapshot: UsageSnapshot): Promise<boolean>;
  /** One point for each of `starts`, in their order. */
  read(appId: string, granularity: Granularity, starts: readonly number[]): Promise<Counted<readonly UsagePoint[]>>;
}

/** Sums; of the peaks, too. */
export function addUp(all: Iterable<UsageCounts>): UsageCounts {
  const sum = { ...NO_USAGE };
  for (const counts of all) {
    sum.connectionsPeak += counts.connectionsPeak;
    sum.connectionsOpened += counts.connectionsOpened;
    sum.messagesIn += counts.messagesIn;
    sum.messagesOut += counts.messagesOut;
    sum.apiCalls += counts.apiCalls;
  }
  return sum;
}
