import { encodeEnvelope } from '../bus/envelope.ts';
import { STORE_ORIGIN, type BusMessage } from '../bus/bus.ts';
import type { MemoryWire } from '../bus/memory.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { eventTail } from '../protocol/server-message.ts';
import type { WebhookEvent } from '../webhooks/webhook-sink.ts';
import { CONNECTIONS, parseMemberField } from './fields.ts';
import { MemoryReplicas } from './memory-replicas.ts';
import { HOLD_MS, LEASE_MS } from './occupancy.ts';
import {
  REAPED,
  type Applied,
  type OccupancyStore,
  type Own,
  type Roster,
  type RosterHead,
  type Rules,
  type Settled,
  type Write,
} from './store.ts';

// The store of one process: standalone mode, and the model that redis/occupancy-scripts.ts is held to. It is long because what is Lua
// there is one script over one app's record, and here step by step the same. Away and lost are for tests.

type AppRecord = {
  readonly totals: Map<string, number>;
  readonly own: Map<string, { mark: string; readonly counts: Map<string, number> }>;
  readonly rosters: Map<
    string,
    { version: number; readonly users: Map<string, { count: number; readonly info: string }> }
  >;
  /** What is held back, and until when. */
  readonly due: Map<string, number>;
  readonly countedAt: Map<string, number>;
  youngUntil: number;
};

export type MemoryStoresOptions = {
  readonly wire: MemoryWire;
  readonly now: Monotonic;
  readonly webhooks: (appId: string, event: WebhookEvent) => void;
  readonly holdMs?: number;
  readonly leaseMs?: number;
};

type Announcement = { readonly kind: string; readonly name: string };
type Step = {
  readonly appId: string;
  readonly app: AppRecord;
  readonly rules: Rules;
  readonly restoring: boolean;
  enqueued: number;
};

const COUNT_EVERY_CHANGE_UP_TO = 100;
const COUNT_EVERY_MS = 5_000;

/** What the replicas of one process, or of one test, share. */
export class MemoryStores {
  readonly #options: MemoryStoresOptions;
  readonly #holdMs: number;
  readonly #leaseMs: number;
  readonly #apps = new Map<string, AppRecord>();
  readonly #replicas: MemoryReplicas;
  #version = 1;
  #away = false;

  constructor(options: MemoryStoresOptions) {
    this.#options = options;
    this.#holdMs = options.holdMs ?? HOLD_MS;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#replicas = new MemoryReplicas(options.now, this.#leaseMs);
  }

  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }
  /** FLUSHALL */
  lose(): void {
    this.#apps.clear();
    this.#replicas.lose();
  }

  store(replica: string): OccupancyStore {
    const replicas = this.#replicas;
    const here = <T>(answer: () => T): Promise<T | undefined> => Promise.resolve(this.#away ? undefined : answer());
    return {
      replica,
      apply: (appId, write) => here(() => this.#apply(appId, replica, write)),
      own: (appId) => here(() => this.#own(appId, replica)),
      marks: (appIds) => here(() => appIds.map((appId) => this.#own(appId, replica).mark)),
      totals: (appId) => here(() => new Map(this.#apps.get(appId)?.totals)),
      total: (appId, fields) => here(() => fields.map((field) => this.#apps.get(appId)?.totals.get(field) ?? 0)),
      roster: (appId, channel) => here(() => this.#roster(this.#app(appId), channel)),
      rosterHeads: (appId, channels) => here(() => channels.map((channel) => this.#head(this.#app(appId), channel))),
      holders: (appId) =>
        here(() =>
          [...(this.#apps.get(appId)?.own ?? [])].filter(([, own]) => own.counts.size > 0).map(([name]) => name),
        ),
      settle: (appId, rules) => here(() => this.#settle(this.#step(appId, rules, false))),
      touch: async (appIds) => (await here(() => replicas.touch(replica, appIds))) ?? false,
      untouch: async (appId) => {
        await here(() => replicas.untouch(replica, appId));
      },
      beat: () => here(() => replicas.beat(replica)),
      appsOfDead: (dead) => here(() => replicas.appsOfDead(dead, replica)),
      reap: (appId, dead, rules) => here(() => this.#reap(appId, dead, rules)),
      bury: async (dead) => {
        await here(() => replicas.bury(dead));
      },
      leave: async () => {
        await here(() => replicas.forget(replica));
      },
    };
  }

  #app(appId: string): AppRecord {
    const app = this.#apps.get(appId) ?? {
      totals: new Map(),
      own: new Map(),
      rosters: new Map(),
      due: new Map(),
      countedAt: new Map(),
      youngUntil: 0,
    };
    this.#apps.set(appId, app);
    return app;
  }

  #step(appId: string, rules: Rules, restoring: boolean): Step {
    return { appId, app: this.#app(appId), rules, restoring, enqueued: 0 };
  }

  #own(appId: string, replica: string): Own {
    const own = this.#apps.get(appId)?.own.get(replica);
    return { mark: own?.mark ?? '', counts: new Map(own?.counts) };
  }

  #apply(appId: string, replica: string, write: Write): Applied {
    const step = this.#step(appId, write.rules, write.restoring);
    const { app } = step;
    const own = app.own.get(replica) ?? { mark: '', counts: new Map<string, number>() };
    if (own.mark !== write.expected) return { outcome: 'stale' };
    app.own.set(replica, own);
    own.mark = write.next;
    if (write.restoring) app.youngUntil = this.#options.now() + this.#leaseMs;
    const refused = new Set<string>();
    let granted = 0;
    for (const { field, count, info, limit, claim } of write.items) {
      const had = own.counts.get(field) ?? 0;
      const member = parseMemberField(field);
      let wanted = count;
      if (claim > 0) {
        const others = (app.totals.get(CONNECTIONS) ?? 0) - had;
        granted = Math.max(Math.min(claim, (limit ?? 0) - others - count), 0);
        wanted += granted;
      } else if (member !== undefined && limit !== undefined && had === 0) {
        const users = app.rosters.get(member.channel)?.users;
        if (users !== undefined && !users.has(member.userId) && users.size >= limit) {
          refused.add(field);
          continue;
        }
      }
      if (wanted > 0) own.counts.set(field, wanted);
      else own.counts.delete(field);
      this.#moved(step, field, wanted - had, info);
    }
    const rosters = new Map(write.rosters.map((channel) => [channel, this.#roster(app, channel)]));
    const connections = app.totals.get(CONNECTIONS) ?? 0;
    return { outcome: 'applied', granted, connections, refused, rosters, ...this.#settled(step) };
  }

  /** A replica's number changed by `delta`. */
  #moved(step: Step, field: string, delta: number, info: string): void {
    const { app } = step;
    const member = parseMemberField(field);
    if (member !== undefined) return this.#memberMoved(step, member, delta, info);
    const before = app.totals.get(field) ?? 0;
    const after = before + delta;
    if (after > 0) app.totals.set(field, after);
    else app.totals.delete(field);
    if (field === CONNECTIONS) return;
    if (field.startsWith(CONNECTIONS)) {
      const user = field.slice('#user-'.length);
      if (after > 0 && (before <= 0 || step.restoring)) this.#came(step, 'user-online', 'user-offline', user);
      if (before > 0 && after <= 0) this.#went(step, 'user-online', 'user-offline', user, 0);
      return;
    }
    if (after > 0 && (before <= 0 || step.restoring)) this.#came(step, 'channel_occupied', 'channel_vacated', field);
    if (before > 0 && after <= 0) this.#went(step, 'channel_occupied', 'channel_vacated', field, this.#holdMs);
    if (delta !== 0 && !step.restoring && !field.startsWith('presence-')) this.#counted(step, field, after);
  }

  #memberMoved(step: Step, member: { channel: string; userId: string }, delta: number, info: string): void {
    const { channel, userId } = member;
    const roster = step.app.rosters.get(channel) ?? { version: 0, users: new Map() };
    step.app.rosters.set(channel, roster);
    const known = roster.users.get(userId);
    const before = known?.count ?? 0;
    const after = before + delta;
    const name = `${channel}\n${userId}`;
    if (after > 0) roster.users.set(userId, { count: after, info: known?.info ?? info });
    else roster.users.delete(userId);
    if (after > 0 && (before <= 0 || step.restoring)) this.#came(step, 'member_added', 'member_removed', name);
    if (before > 0 && after <= 0) this.#went(step, 'member_added', 'member_removed', name, this.#holdMs);
    if (before > 0 === after > 0) return;
    const previous = String(roster.version);
    roster.version = this.#version += 1;
    const change = after > 0 ? { added: { user: userId, info } } : { removed: userId };
    const signal = {
      type: 'roster',
      previous,
      version: String(roster.version),
      young: this.#youngMs(step.app),
      ...change,
    };
    this.#carry(step.appId, channel, { kind: 'signal', text: JSON.stringify(signal) });
    if (roster.users.size === 0) step.app.rosters.delete(channel);
  }

  #came(step: Step, came: string, went: string, name: string): void {
    const { due } = step.app;
    const cancelled = due.delete(`${went}\n${name}`);
    const isUser = came === 'user-online';
    if (step.restoring) return void due.delete(`${came}\n${name}`);
    if (cancelled || (!isUser && !step.rules.webhooks.has(came))) return;
    const youngMs = this.#youngMs(step.app);
    if (youngMs > 0) due.set(`${came}\n${name}`, this.#options.now() + youngMs);
    else this.#announce(step, { kind: came, name });
  }

  #went(step: Step, came: string, went: string, name: string, holdMs: number): void {
    const { due } = step.app;
    if (due.delete(`${came}\n${name}`)) return;
    if (went !== 'user-offline' && !step.rules.webhooks.has(went)) return;
    const waitMs = Math.max(holdMs, this.#youngMs(step.app));
    if (waitMs > 0) due.set(`${went}\n${name}`, this.#options.now() + waitMs);
    else this.#announce(step, { kind: went, name });
  }

  #counted(step: Step, channel: string, total: number): void {
    const { rules, app } = step;
    if (!rules.subscriptionCounts && !rules.webhooks.has('subscription_count')) return;
    const now = this.#options.now();
    const next = (app.countedAt.get(channel) ?? -COUNT_EVERY_MS) + COUNT_EVERY_MS;
    if (total <= COUNT_EVERY_CHANGE_UP_TO || next <= now) {
      if (total > COUNT_EVERY_CHANGE_UP_TO) app.countedAt.set(channel, now);
      else app.countedAt.delete(channel);
      this.#announce(step, { kind: 'subscription_count', name: channel });
    } else app.due.set(`subscription_count\n${channel}`, next);
  }

  #announce(step: Step, { kind, name }: Announcement): void {
    const { appId, app, rules } = step;
    if (kind === 'user-online' || kind === 'user-offline') {
      const text = JSON.stringify({ type: kind, user: name });
      return this.#carry(appId, `#user-${name}`, { kind: 'signal', text });
    }
    if (kind === 'subscription_count') {
      const count = app.totals.get(name) ?? 0;
      const tail = eventTail('pusher_internal:subscription_count', JSON.stringify({ subscription_count: count }));
      if (rules.subscriptionCounts) {
        this.#carry(appId, name, { kind: 'event', exceptSocketId: undefined, tail: Buffer.from(tail) });
      }
      if (rules.webhooks.has(kind)) this.#webhook(step, { name: kind, channel: name, subscription_count: count });
      return;
    }
    if (kind === 'channel_occupied' || kind === 'channel_vacated')
      return this.#webhook(step, { name: kind, channel: name });
    const member = parseMemberField(name);
    if (member === undefined || (kind !== 'member_added' && kind !== 'member_removed')) return;
    this.#webhook(step, { name: kind, channel: member.channel, user_id: member.userId });
  }

  #webhook(step: Step, event: WebhookEvent): void {
    step.enqueued += 1;
    this.#options.webhooks(step.appId, event);
  }

  #carry(appId: string, channel: string, message: BusMessage): void {
    if (!this.#options.wire.isCut()) this.#options.wire.carry(appId, channel, encodeEnvelope(STORE_ORIGIN, message));
  }

  #settle(step: Step): Settled {
    const now = this.#options.now();
    for (const [entry, at] of step.app.due) {
      if (at > now) continue;
      step.app.due.delete(entry);
      const cut = entry.indexOf('\n');
      this.#announce(step, { kind: entry.slice(0, cut), name: entry.slice(cut + 1) });
    }
    return this.#settled(step);
  }

  #settled({ app, enqueued }: Step): Settled {
    const next = Math.min(...app.due.values());
    return { enqueued, dueInMs: Number.isFinite(next) ? Math.max(next - this.#options.now(), 0) : undefined };
  }

  #roster(app: AppRecord, channel: string): Roster {
    const roster = app.rosters.get(channel);
    const members = new Map([...(roster?.users ?? [])].map(([userId, { info }]) => [userId, info]));
    return { version: roster?.version ?? 0, members, youngMs: this.#youngMs(app) };
  }

  #head(app: AppRecord, channel: string): RosterHead {
    const roster = app.rosters.get(channel);
    return { version: roster?.version ?? 0, size: roster?.users.size ?? 0 };
  }

  #youngMs(app: AppRecord): number {
    return Math.max(app.youngUntil - this.#options.now(), 0);
  }

  #reap(appId: string, dead: string, rules: Rules): Settled & { done: boolean } {
    const step = this.#step(appId, rules, false);
    const own = step.app.own.get(dead);
    for (const [field, count] of own?.counts ?? []) this.#moved(step, field, -count, 'null');
    if (own !== undefined) step.app.own.set(dead, { mark: REAPED, counts: new Map() });
    return { ...this.#settled(step), done: true };
  }
}
