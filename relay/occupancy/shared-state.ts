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
    this.occupancy = new Counts(store, this.#writer, local, (replica) => this.#silent?.has(replica) !== true);
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
    await this.#beating;
    await this.#writer.close();
    await this.#parts.store[Symbol.asyncDispose]();
  }

  async #beatOnce(): Promise<void> {
    const { store, now } = this.#parts;
    const beat = await store.beat();
    if (beat === undefined) return;
    this.#silent = new Set(beat.silent);
    const at = now();
    if (this.#lastBeatAt === undefined || at - this.#lastBeatAt > this.#leaseMs / 2) this.#inContactSince = at;
    this.#lastBeatAt = at;
    const touched = this.#writer.touched();
    if (beat.apps !== touched.length && touched.length > 0) await store.touch(touched);
    this.#writer.beat();
    await this.#lookForLosses();
    if (this.#inContactSince === undefined || at - this.#inContactSince < this.#leaseMs) return;
    for (const dead of beat.dead) if (dead !== store.replica && !this.#closed) await this.#bury(dead);
  }

  /** Marks that the store does not have any more, and changes of rosters that were not heard. */
  async #lookForLosses(): Promise<void> {
    const { store } = this.#parts;
    const looks = [...this.#writer.marks()].map(async ([appId, mark]) => {
      const found = await store.mark(appId);
      if (found !== undefined && found !== mark) this.#writer.lost(appId, mark);
    });
    for (const [appId, channels] of this.#rosters.watched()) looks.push(this.#lookAtRosters(appId, channels));
    await Promise.all(looks);
  }

  async #lookAtRosters(appId: string, channels: readonly string[]): Promise<void> {
    for (let from = 0; from < channels.length; from += ROSTERS_PER_LOOK) {
      const some = channels.slice(from, from + ROSTERS_PER_LOOK);
      const before = some.map((channel) => this.#rosters.versionOf(appId, channel));
      const heads = await this.#parts.store.rosterHeads(appId, some);
      heads?.forEach((head, index) => this.#rosters.looked(appId, some[index] ?? '', before[index], head));
    }
  }

  async #bury(dead: string): Promise<void> {
    const { store, rules, onWebhooks, onRecovered, log } = this.#parts;
    const apps = await store.appsOfDead(dead);
    if (apps === undefined) return;
    log.warn({ replica: dead, apps: apps.length }, 'a replica is dead, taking its numbers back');
    for (const appId of apps) {
      for (let done = false; !done;) {
        const reaped = await store.reap(appId, dead, rules(appId));
        if (reaped === undefined) return; // Away: at a later beat.
        if (reaped.enqueued > 0) onWebhooks(appId);
        this.#writer.dueIn(appId, reaped.dueInMs);
        done = reaped.done;
      }
      onRecovered(appId);
    }
    await store.bury(dead);
  }
}

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
