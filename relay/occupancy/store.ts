/**
 * What replicas share: the numbers of each, their sums, and the rosters of presence channels. One store object belongs to one replica, by
 * name. redis/occupancy-store.ts keeps it in Redis, memory-store.ts in the process; writer.ts is who uses it.
 *
 * `apply` is one atomic step: it takes *absolute* numbers of this replica, moves the sums and rosters by the difference to what it
 * had of it before, and announces what came or went because of that: as signals on the bus (`roster` on a presence channel, `user-online` and
 * `user-offline` on `#user-{id}`), as `pusher_internal:subscription_count` events, and as webhook events. So a number that is written twice
 * changes nothing, and a crash at any moment leaves no state without its announcement.
 *
 * All answers are undefined while the store is away. Nothing rejects.
 */
export interface OccupancyStore {
  readonly replica: string;
  apply(appId: string, write: Write): Promise<Applied | undefined>;
  /** What the store has of this replica. */
  own(appId: string): Promise<Own | undefined>;
  /** The marks alone, in order, '' for none: asked at every beat. */
  marks(appIds: readonly string[]): Promise<readonly string[] | undefined>;
  totals(appId: string): Promise<ReadonlyMap<string, number> | undefined>;
  /** One number for each field. */
  total(appId: string, fields: readonly string[]): Promise<readonly number[] | undefined>;
  roster(appId: string, channel: string): Promise<Roster | undefined>;
  /** Members and version of each channel, in order. */
  rosterHeads(appId: string, channels: readonly string[]): Promise<readonly RosterHead[] | undefined>;
  /** Replicas that hold anything of the app. */
  holders(appId: string): Promise<readonly string[] | undefined>;
  /** Announces what was held back and is due. */
  settle(appId: string, rules: Rules): Promise<Settled | undefined>;

  /** Says that this replica lives and will write numbers of the apps. Before the first write, so that whoever buries it knows. */
  touch(appIds: readonly string[]): Promise<boolean>;
  untouch(appId: string): Promise<void>;
  /** A sign of life. `apps`: how many are touched, as the store has it. */
  beat(): Promise<Beat | undefined>;
  /** Apps that a dead replica touched; undefined also when somebody else is at it. */
  appsOfDead(replica: string): Promise<readonly string[] | undefined>;
  /** Takes numbers of a dead replica back, a part of them at a time, and fences it: what it writes later is stale. */
  reap(appId: string, replica: string, rules: Rules): Promise<(Settled & { readonly done: boolean }) | undefined>;
  /** Forgets a dead replica, unless it has come back. */
  bury(replica: string): Promise<void>;
  /** A goodbye: this replica has nothing left here. */
  leave(): Promise<void>;
}

/** What an app wants to have announced. `webhooks`: names of webhook events. */
export type Rules = { readonly webhooks: ReadonlySet<string>; readonly subscriptionCounts: boolean };

export type Item = {
  readonly field: string;
  readonly count: number;
  /** Of a member: its user_info as JSON text. */
  readonly info: string;
  /** Refused if it would make more than this many members, or connections. */
  readonly limit: number | undefined;
  /** Of connections: how many more are asked for under `limit`. */
  readonly claim: number;
};

export type Write = {
  /** The mark of the write before; '' when there is none. */
  readonly expected: string;
  readonly next: string;
  /** What the store lost and everybody had been told: no webhook again. Views of rosters compare by themselves. */
  readonly restoring: boolean;
  readonly items: readonly Item[];
  /** Presence channels whose roster is to be answered, as it is afterwards. */
  readonly rosters: readonly string[];
  readonly rules: Rules;
};

export type Settled = {
  /** Webhook events written. */
  readonly enqueued: number;
  /** When something that is held back becomes due. */
  readonly dueInMs: number | undefined;
};

export type Applied =
  /** The store's mark is not the one expected: nothing was applied. */
  | { readonly outcome: 'stale' }
  | (Settled & {
      readonly outcome: 'applied';
      /** Of `claim`. */
      readonly granted: number;
      /** Connections at all replicas. */
      readonly connections: number;
      /** Fields of items over their limit. */
      readonly refused: ReadonlySet<string>;
      readonly rosters: ReadonlyMap<string, Roster>;
    });

/** `mark` is '' when the store has nothing. */
export type Own = { readonly mark: string; readonly counts: ReadonlyMap<string, number> };

/** Each change gives a roster a higher version, which no other history of it uses; an empty one has 0. */
export type RosterHead = { readonly version: number; readonly size: number };
export type Roster = {
  readonly version: number;
  /** Info by user. */
  readonly members: ReadonlyMap<string, string>;
  /** Above 0 while replicas may still be restoring: who is missing may only not have been told again yet. */
  readonly youngMs: number;
};

export type Beat = {
  readonly apps: number;
  /** Every replica that has spoken and was not buried since. */
  readonly known: readonly string[];
  /** Have not spoken for half the lease. */
  readonly silent: readonly string[];
  /** Silent for longer than the lease. */
  readonly dead: readonly string[];
};

/** A fence: what a replica finds instead of its own mark when others have taken its numbers back. */
export const REAPED = 'reaped';
