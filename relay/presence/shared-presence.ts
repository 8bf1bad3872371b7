import { z } from 'zod';
import type { Counted } from '../occupancy/occupancy.ts';
import { memberField } from '../occupancy/fields.ts';
import type { OccupancyStore, Roster, RosterHead } from '../occupancy/store.ts';
import type { Writer } from '../occupancy/writer.ts';
import type { LocalMembers } from './local-members.ts';
import type { Joining, Member, Presence, RosterListener } from './presence.ts';
import { RosterView, type RosterStep } from './roster-view.ts';

/** As the store's scripts announce it. `version` as text: it is beyond what a double of Lua prints exactly. */
const rosterSignal = z.object({
  previous: z.coerce.number().int(),
  version: z.coerce.number().int(),
  young: z.number(),
  added: z.object({ user: z.string(), info: z.string() }).exactOptional(),
  removed: z.string().exactOptional(),
});

/** Presence over a store. Keeps a {@link RosterView} of each presence channel that this replica has sockets in. */
export class SharedPresence implements Presence {
  readonly #store: OccupancyStore;
  readonly #writer: Writer;
  readonly #local: LocalMembers;
  readonly #listener: RosterListener;
  readonly #apps = new Map<string, Map<string, RosterView>>();
  readonly #fetches = new Set<NodeJS.Timeout>();

  constructor(store: OccupancyStore, writer: Writer, local: LocalMembers, listener: RosterListener) {
    this.#store = store;
    this.#writer = writer;
    this.#local = local;
    this.#listener = listener;
  }

  async join(appId: string, channel: string, socketId: string, member: Member, limit: number): Promise<Joining> {
    const { userId, info } = member;
    const isIn = this.#local.add(appId, channel, userId, info, socketId);
    const view = this.#view(appId, channel);
    const field = memberField(channel, userId);
    if (view.version === undefined) this.#writer.wantRoster(appId, channel);
    if (isIn && view.version !== undefined) this.#writer.changed(appId, field);
    else {
      const outcome = await this.#writer.member(appId, field, limit);
      // Not taken back here: the socket may be joining anew meanwhile, and this would be that one's place.
      if (outcome === 'full' || (outcome === 'away' && isFull(view, userId, limit))) return { outcome: 'full' };
    }
    if (this.#local.letIn(appId, channel, userId, socketId)) this.#hereChanged(appId, channel, userId);
    return {
      outcome: 'joined',
      get members() {
        return membersOf(view.members);
      },
    };
  }

  leave(appId: string, channel: string, socketId: string, userId: string): void {
    if (!this.#local.remove(appId, channel, userId, socketId)) return;
    this.#writer.changed(appId, memberField(channel, userId));
    if (this.#local.hasChannel(appId, channel)) return this.#hereChanged(appId, channel, userId);
    const views = this.#apps.get(appId);
    views?.delete(channel);
    if (views?.size === 0) this.#apps.delete(appId);
  }

  async members(appId: string, channel: string): Promise<Counted<readonly Member[]>> {
    const roster = await this.#store.roster(appId, channel);
    const users = new Map(roster?.members ?? this.#apps.get(appId)?.get(channel)?.members);
    for (const [userId, info] of this.#local.usersOf(appId, channel)) if (!users.has(userId)) users.set(userId, info);
    return { value: membersOf(users), reached: roster !== undefined };
  }

  async userCounts(appId: string, channels: readonly string[]): Promise<Counted<ReadonlyMap<string, number>>> {
    const heads: RosterHead[] = [];
    let reached = true;
    // A part at a time: while a script runs Redis serves nobody, and an app may have a hundred thousand channels.
    for (let from = 0; from < channels.length && reached; from += HEADS_AT_ONCE) {
      const some = await this.#store.rosterHeads(appId, channels.slice(from, from + HEADS_AT_ONCE));
      heads.push(...(some ?? []));
      reached = some !== undefined;
    }
    const known = (channel: string): number => this.#apps.get(appId)?.get(channel)?.members.size ?? 0;
    return {
      value: new Map(channels.map((channel, index) => [channel, heads[index]?.size ?? known(channel)])),
      reached,
    };
  }

  /** A signal of type `roster`. */
  received(appId: string, channel: string, signal: unknown): void {
    const view = this.#apps.get(appId)?.get(channel);
    const parsed = rosterSignal.safeParse(signal);
    if (view === undefined || !parsed.success) return;
    const { previous, version, young: youngMs, added, removed } = parsed.data;
    if (added !== undefined) {
      this.#stepped(
        appId,
        channel,
        view,
        view.delta({ previous, version, youngMs, added: { userId: added.user, info: added.info } }),
      );
    } else if (removed !== undefined)
      this.#stepped(appId, channel, view, view.delta({ previous, version, youngMs, removed }));
  }

  fetched(appId: string, rosters: ReadonlyMap<string, Roster>): void {
    for (const [channel, roster] of rosters) {
      const view = this.#apps.get(appId)?.get(channel);
      if (view !== undefined) this.#stepped(appId, channel, view, view.fetched(roster));
    }
  }

  /** Channels whose version is known here, for a look whether a change was missed. */
  *watched(): Iterable<readonly [appId: string, channels: readonly string[]]> {
    for (const [appId, views] of this.#apps) {
      const channels = [...views].filter(([, view]) => view.version !== undefined).map(([channel]) => channel);
      if (channels.length > 0) yield [appId, channels];
    }
  }

  /** @param before the version when it was asked for: what moved on meanwhile is not behind. */
  looked(appId: string, channel: string, before: number | undefined, head: RosterHead): void {
    const view = this.#apps.get(appId)?.get(channel);
    if (view === undefined || view.version !== before || head.version === before) return;
    if (before !== undefined && head.version < before && head.version > 0) view.forgetVersion();
    this.#writer.wantRoster(appId, channel);
  }

  versionOf(appId: string, channel: string): number | undefined {
    return this.#apps.get(appId)?.get(channel)?.version;
  }

  close(): void {
    for (const timer of this.#fetches) clearTimeout(timer);
  }

  #view(appId: string, channel: string): RosterView {
    const views = this.#apps.get(appId) ?? new Map<string, RosterView>();
    this.#apps.set(appId, views);
    const known = views.get(channel);
    if (known !== undefined) return known;
    const view = new RosterView((userId) => this.#local.infoOf(appId, channel, userId));
    views.set(channel, view);
    return view;
  }

  #hereChanged(appId: string, channel: string, userId: string): void {
    const view = this.#apps.get(appId)?.get(channel);
    for (const change of view?.changedHere(userId) ?? []) this.#listener(appId, channel, change);
  }

  #stepped(appId: string, channel: string, view: RosterView, { changes, fetchInMs }: RosterStep): void {
    for (const change of changes) this.#listener(appId, channel, change);
    if (fetchInMs === 0) this.#writer.wantRoster(appId, channel);
    else if (fetchInMs !== undefined) {
      const timer = setTimeout(() => {
        this.#fetches.delete(timer);
        if (this.#apps.get(appId)?.get(channel) === view) this.#writer.wantRoster(appId, channel);
      }, fetchInMs).unref();
      this.#fetches.add(timer);
    }
  }
}

/** As far as is known here: that the store is away opens no door. */
const isFull = ({ members }: RosterView, userId: string, limit: number): boolean =>
  members.size >= limit && !members.has(userId);

const HEADS_AT_ONCE = 200;

const membersOf = (users: ReadonlyMap<string, string>): Member[] =>
  [...users].map(([userId, info]) => ({ userId, info }));
