import type { Logger } from 'pino';
import type { Signals } from '../bus/signals.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { LocalMembers } from '../presence/local-members.ts';
import type { Presence, RosterListener } from '../presence/presence.ts';
import { SharedPresence } from '../presence/shared-presence.ts';
import type { LocalNumbers } from './app-ledger.ts';
import { Counts } from './counts.ts';
import { CONNECTIONS, parseMemberField } from './fields.ts';
import { BEAT_MS, LEASE_MS, type LocalCounts, type Occupancy } from './occupancy.ts';
import type { OccupancyStore, Rules } from './store.ts';
import { Strangers } from './strangers.ts';
import { Writer } from './writer.ts';

export type SharedStateParts = {
  readonly store: OccupancyStore;
  readonly local: LocalCounts;
  readonly signals: Signals;
  readonly rules: (appId: string) => Rules;
  /** Tells the local subscribers of a presence channel. Must not throw. */
  readonly rosterListener: RosterListener;
  /** Webhook events of the app wait in the store. Must not throw. */
  readonly onWebhooks: (appId: string) => void;
  /** A replica that had sockets of the app died: what it left undone is for others to do. Must not throw. */
  readonly onRecovered: (appId: string) => void;
  readonly now: Monotonic;
  readonly log: Logger;
  readonly beatMs?: number;
  readonly leaseMs?: number;
};

/** Counts and presence of one replica over a store, and the beat that keeps them right. */
export class SharedState implements AsyncDisposable {
  readonly occupancy: Occupancy;
  readonly presence: Presence;
  readonly #parts: SharedStateParts;
  readonly #writer: Writer;
  readonly #rosters: SharedPresence;
  readonly #beatMs: number;
  readonly #leaseMs: number;
  readonly #timer: NodeJS.Timeout;
  #beating: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #burying: Promise<void> | undefined;
  #turn = 0;
  readonly #strangers: Strangers;
  readonly #asked = new Set<string>();
  #known: ReadonlySet<string> = new Set();
  #lastBeatAt: number | undefined;
  /** Since when there was no gap between beats: others had their chance to beat for as long. */
  #inContactSince: number | undefined;
  /** Who has not spoken for half a lease: nobody should wait for their answers. */
  #silent: ReadonlySet<string> | undefined;
  #closed = false;

  constructor(parts: SharedStateParts) {
    const { store, local, rules } = parts;
    this.#parts = parts;
    this.#beatMs = parts.beatMs ?? BEAT_MS;
    this.#leaseMs = parts.leaseMs ?? LEASE_MS;
    const members = new LocalMembers();
    let mark = 0;
    this.#writer = new Writer({
      store,
      numbers: localNumbers(local, members),
      rules,
      listener: {
        webhooks: parts.onWebhooks,
        rosters: (appId, rosters) => this.#rosters.fetched(appId, rosters),
      },
      nextMark: () => String((mark += 1)),
    });
    this.#rosters = new SharedPresence(store, this.#writer, members, parts.rosterListener);
    this.occupancy = new Counts(store, this.#writer, local, {
      isLiving: (replica) => this.#silent?.has(replica) !== true,
      asked: (appId) => this.#asked.add(appId),
    });
    this.#strangers = new Strangers(this.#leaseMs, parts.now);
    this.presence = this.#rosters;
    parts.signals.on('roster', (appId, channel, signal) => this.#rosters.received(appId, channel, signal));
    this.#timer = setInterval(() => this.beat(), this.#beatMs).unref();
    this.beat();
  }

  /** Every `beatMs` by itself; not again while one is under way. */
  beat(): void {
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#rosters.close();
    await this.quiet();
    const isAnythingLeft = await this.#writer.close();
    // Else it is taken for dead after its lease, and who buries it sees to that.
    if (!isAnythingLeft) await this.#parts.store.leave();
  }

  /** Resolves when nothing of the last beat is under way. */
  async quiet(): Promise<void> {
    await this.#beating;
    await Promise.all([this.#looking, this.#burying]);
  }

  /** Only the sign of life; what follows from it may take longer than the next one. */
  async #beatOnce(): Promise<void> {
    const { store, now } = this.#parts;
    const beat = await store.beat();
    if (beat === undefined || this.#closed) return;
    this.#silent = new Set(beat.silent);
    this.#known = new Set([...beat.known, store.replica]);
    const at = now();
    if (this.#lastBeatAt === undefined || at - this.#lastBeatAt > this.#leaseMs / 2) this.#inContactSince = at;
    this.#lastBeatAt = at;
    const touched = this.#writer.touched();
    if (beat.apps < touched.length) await store.touch(touched);
    this.#writer.beat();
    this.#looking ??= this.#lookForLosses().finally(() => {
      this.#looking = undefined;
    });
    if (this.#inContactSince === undefined || at - this.#inContactSince < this.#leaseMs) return;
    const dead = beat.dead.filter((replica) => replica !== store.replica);
    if (dead.length === 0) return;
    this.#burying ??= this.#buryAll(dead).finally(() => {
      this.#burying = undefined;
    });
  }

  /** Marks that the store does not have any more, and changes of rosters that were not heard. */
  async #lookForLosses(): Promise<void> {
    const { store } = this.#parts;
    const marks = [...this.#writer.marks()];
    for (let from = 0; from < marks.length && !this.#closed; from += MARKS_PER_LOOK) {
      const some = marks.slice(from, from + MARKS_PER_LOOK);
      const found = await store.marks(some.map(([appId]) => appId));
      some.forEach(([appId, mark], index) => {
        if (found !== undefined && found[index] !== mark) this.#writer.lost(appId, mark);
      });
    }
    this.#turn += 1;
    const watched = [...this.#rosters.watched()].filter((_, index) => index % LOOK_TURNS === this.#turn % LOOK_TURNS);
    for (const [appId, channels] of watched) if (!this.#closed) await this.#lookAtRosters(appId, channels);
    const ours = marks.flatMap(([appId], index) =>
      index % STRANGER_TURNS === this.#turn % STRANGER_TURNS ? [appId] : [],
    );
    const apps = [...new Set([...ours, ...this.#asked, ...this.#strangers.apps()])];
    this.#asked.clear();
    for (let from = 0; from < apps.length && !this.#closed; from += APPS_AT_ONCE) {
      await Promise.all(apps.slice(from, from + APPS_AT_ONCE).map((appId) => this.#lookForStrangers(appId)));
    }
  }

  async #lookForStrangers(appId: string): Promise<void> {
    const holders = await this.#parts.store.holders(appId);
    if (holders === undefined) return;
    for (const stranger of this.#strangers.look(appId, holders, this.#known)) await this.#reap(appId, stranger);
  }

  async #lookAtRosters(appId: string, channels: readonly string[]): Promise<void> {
    for (let from = 0; from < channels.length; from += ROSTERS_PER_LOOK) {
      const some = channels.slice(from, from + ROSTERS_PER_LOOK);
      const before = some.map((channel) => this.#rosters.versionOf(appId, channel));
      const heads = await this.#parts.store.rosterHeads(appId, some);
      heads?.forEach((head, index) => this.#rosters.looked(appId, some[index] ?? '', before[index], head));
    }
  }

  async #buryAll(dead: readonly string[]): Promise<void> {
    const { store, log } = this.#parts;
    for (const replica of dead) {
      const apps = this.#closed ? undefined : await store.appsOfDead(replica);
      if (apps === undefined) continue;
      log.warn({ replica, apps: apps.length }, 'a replica is gone without a goodbye, taking its numbers back');
      let areAllDone = true;
      for (let from = 0; from < apps.length && areAllDone; from += APPS_AT_ONCE) {
        const some = apps.slice(from, from + APPS_AT_ONCE);
        areAllDone = (await Promise.all(some.map((appId) => this.#reap(appId, replica)))).every(Boolean);
      }
      // Else again at a later beat.
      if (areAllDone) await store.bury(replica);
    }
  }

  async #reap(appId: string, dead: string): Promise<boolean> {
    const { store, rules, onWebhooks, onRecovered } = this.#parts;
    for (let done = false; !done;) {
      const reaped = this.#closed ? undefined : await store.reap(appId, dead, rules(appId));
      if (reaped === undefined) return false;
      if (reaped.enqueued > 0) onWebhooks(appId);
      this.#writer.dueIn(appId, reaped.dueInMs);
      done = reaped.done;
    }
    onRecovered(appId);
    return true;
  }
}

const MARKS_PER_LOOK = 500;
/** Versions of rosters are looked at only every so many beats: a message is lost with a connection, and seldom otherwise. */
const LOOK_TURNS = 5;
/** Apps that somebody asks about are looked through for strangers at the next beat; of the others a part at each. */
const STRANGER_TURNS = 15;
const APPS_AT_ONCE = 16;
const ROSTERS_PER_LOOK = 200;

function localNumbers(local: LocalCounts, members: LocalMembers): LocalNumbers {
  return {
    count: (appId, field) => {
      if (parseMemberField(field) !== undefined) return members.count(appId, field);
      const count = field === CONNECTIONS ? local.connections(appId) : local.subscriptions(appId, field);
      return { count, info: '' };
    },
    *fields(appId) {
      if (local.connections(appId) > 0) yield CONNECTIONS;
      for (const [channel] of local.channels(appId)) yield channel;
      yield* members.fields(appId);
    },
  };
}
