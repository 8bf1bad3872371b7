import type { Counted } from '../occupancy/occupancy.ts';

/**
 * Who is in a presence channel, over all replicas. A user is a member from its first connection anywhere to its last.
 *
 * An adapter MUST
 * - let the members that `join` answers and the changes told to the {@link RosterListener} agree: whoever subscribes in the turn in which
 *   it reads `members` knows everybody, and is told every later change once;
 * - keep the limit exact over all replicas that reach the store;
 * - remove the members of a replica that died within 10 s, and tell what changed meanwhile when the store was away or lost everything.
 *
 * An adapter MUST NOT reject or wait long because the store is away: a join is then judged by the members that are known here.
 */
export interface Presence {
  /**
   * Counts the socket as one of the user's. Call it when the bus has the channel, and before the socket is among those that the listener
   * tells. A socket that goes away meanwhile, or finds the channel full, MUST be taken back with `leave`, once.
   * @param limit most distinct users of the channel.
   */
  join(appId: string, channel: string, socketId: string, member: Member, limit: number): Promise<Joining>;
  leave(appId: string, channel: string, socketId: string, userId: string): void;
  members(appId: string, channel: string): Promise<Counted<readonly Member[]>>;
  /** Distinct users by channel, one entry for each channel that was asked. */
  userCounts(appId: string, channels: readonly string[]): Promise<Counted<ReadonlyMap<string, number>>>;
}

/** `info` is the JSON text of user_info; `null` when there is none. */
export type Member = { readonly userId: string; readonly info: string };

export type Joining =
  | {
      readonly outcome: 'joined';
      /** As of the moment that it is read: read it in the turn in which the socket becomes a subscriber, and nobody is missed. */
      readonly members: readonly Member[];
    }
  | { readonly outcome: 'full' };

/** A change to tell the local subscribers of a presence channel. Never tells a socket that its own user came. */
export type RosterListener = (appId: string, channel: string, change: RosterChange) => void;

export type RosterChange = { readonly added: Member } | { readonly removed: string };
