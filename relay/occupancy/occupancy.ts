/**
 * How many sockets, in all and per channel, an app has over all replicas. Each replica owns its counts and knows them exactly
 * ({@link LocalCounts}); this is how it tells the others and asks them.
 *
 * An adapter MUST
 * - publish absolute counts of its own replica, never deltas: a lost or repeated write then heals by itself;
 * - let a replica's counts vanish within 10 s of its death, and publish all of them anew when the store has forgotten them;
 * - make `admit` exact over all replicas that reach the store.
 *
 * An adapter MUST NOT block or reject because the store is away: counts are then this replica's own (`admit`: and the last known
 * of the others), and `reached` says so.
 */
export interface Occupancy extends AsyncDisposable {
  /** Call after every change of a count; cheap, written at the end of the turn. `channel` undefined: the app's connections. */
  changed(appId: string, channel: string | undefined): void;
  /** Subscriptions at other replicas by channel; only channels that have any. */
  channelsElsewhere(appId: string): Promise<Counted<ReadonlyMap<string, number>>>;
  channelElsewhere(appId: string, channel: string): Promise<Counted<number>>;
  /** Whether the app's connections, counted here with the new one, stay within `limit`. */
  admit(appId: string, limit: number): Promise<boolean>;
}

/** `reached` is false when the store was away and `value` therefore leaves others out. */
export type Counted<T> = { readonly value: T; readonly reached: boolean };

export interface LocalCounts {
  /** Apps with at least one connection here. */
  apps(): Iterable<string>;
  connections(appId: string): number;
  channels(appId: string): Iterable<readonly [channel: string, subscriptions: number]>;
  subscriptions(appId: string, channel: string): number;
}

/** A replica that says nothing for this long is taken for dead. */
export const LEASE_MS = 9_000;
export const BEAT_MS = 3_000;
