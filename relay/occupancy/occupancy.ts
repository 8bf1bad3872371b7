/**
 * How many sockets, in all and per channel, an app has over all replicas, and which users are signed in. Each replica knows its own exactly
 * ({@link LocalCounts}).
 *
 * An adapter MUST
 * - answer with this replica's own numbers as they are in this moment, and with those of the others as they told them;
 * - not count a replica any more 10 s after its death;
 * - make `admit` exact over all replicas that reach the store.
 *
 * An adapter MUST NOT block or reject because the store is away: counts are then this replica's own (`admit`: and the last known
 * of the others), and `reached` says so.
 */
export interface Occupancy {
  /** Call after every change of a count; cheap, written at the end of the turn. `channel` undefined: the app's connections. */
  changed(appId: string, channel: string | undefined): void;
  /** Occupied channels and their subscriptions; no names that begin with `#`. */
  channels(appId: string): Promise<Counted<ReadonlyMap<string, number>>>;
  subscriptions(appId: string, channel: string): Promise<Counted<number>>;
  connections(appId: string): Promise<Counted<number>>;
  /** Who of them is signed in anywhere. */
  online(appId: string, userIds: readonly string[]): Promise<Counted<ReadonlySet<string>>>;
  /**
   * Whether a socket, which is among the connections here already, may stay under `limit`.
   * @param gone whether that socket has left meanwhile.
   */
  admit(appId: string, limit: number, gone: () => boolean): Promise<boolean>;
  /** Names of the living replicas that hold sockets of the app, this one included if it does. */
  replicas(appId: string): Promise<Counted<readonly string[]>>;
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

/** A replica that says nothing for this long is taken for dead. With a beat and the time that it takes to bury it: within 10 s. */
export const LEASE_MS = 6_000;
export const BEAT_MS = 2_000;
/** Webhooks tell that somebody went only after this long, and not at all if they are back: a reload of a page is no news. */
export const HOLD_MS = 3_000;
