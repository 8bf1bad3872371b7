import { Cluster } from 'ioredis';
import { z } from 'zod';
import { PATIENCE_MS } from '../bus/bus.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { HOLD_MS, LEASE_MS } from '../occupancy/occupancy.ts';
import {
  REAPED,
  type Applied,
  type Beat,
  type OccupancyStore,
  type Own,
  type Roster,
  type RosterHead,
  type Rules,
  type Settled,
  type Write,
} from '../occupancy/store.ts';
import type { AppKeys } from './app-keys.ts';
import * as scripts from './occupancy-scripts.ts';
import { Patience, type RedisClient } from './patience.ts';
import { runScript, script, type Script } from './script.ts';

export type RedisOccupancyStoreOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  /** Of this process, not of the machine: a replica that comes back must not take over the numbers of the one that died. */
  readonly replica: string;
  readonly now: Monotonic;
  /** In milliseconds; for tests. */
  readonly holdMs?: number;
  readonly leaseMs?: number;
};

const APPLY = script(scripts.APPLY);
const SETTLE = script(scripts.SETTLE);
const REAP = script(scripts.REAP);
const ROSTER = script(scripts.ROSTER);
const ROSTER_HEADS = script(scripts.ROSTER_HEADS);
const TOUCH = script(scripts.TOUCH);
const BEAT = script(scripts.BEAT);
const APPS_OF_DEAD = script(scripts.APPS_OF_DEAD);
const BURY = script(scripts.BURY);

/** Longer than a step of a burial may take. */
const BURIAL_LOCK_MS = 10_000;
const APPS_PER_TOUCH = 500;

const number = z.coerce.number();
const texts = z.array(z.string());
const dueIn = number.transform((ms) => (ms < 0 ? undefined : ms));
const roster = z.tuple([texts, number]).transform(([fields, youngMs]): Roster => {
  const members = new Map<string, string>();
  let version = 0;
  for (const [field, value] of pairs(fields)) {
    if (field === 'v') version = Number(value);
    else members.set(field.slice(1), value.slice(value.indexOf('\n') + 1));
  }
  return { version, members, youngMs };
});
const applied = z.tuple([number, number, number, dueIn, z.array(number), z.array(roster)]);
const settled = z.tuple([number, dueIn]);
const reaped = z.tuple([number, dueIn, number]);
const beat = z.tuple([number, texts, texts, texts]);

/** The store in Redis; what each key holds is said in occupancy-scripts.ts. */
export class RedisOccupancyStore implements OccupancyStore {
  readonly replica: string;
  readonly #options: RedisOccupancyStoreOptions;
  readonly #patience: Patience;
  readonly #holdMs: number;
  readonly #leaseMs: number;

  constructor(options: RedisOccupancyStoreOptions) {
    this.#options = options;
    this.replica = options.replica;
    this.#patience = new Patience(options.client, PATIENCE_MS, options.now);
    this.#holdMs = options.holdMs ?? HOLD_MS;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  async apply(appId: string, write: Write): Promise<Applied | undefined> {
    const { expected, next, restoring, items, rosters, rules } = write;
    const answer = await this.#announcing(APPLY, appId, rules, this.replica, [
      expected,
      next,
      restoring ? 1 : 0,
      items.length,
      ...items.flatMap(({ field, count, info, limit, claim }) => [field, count, info, limit ?? '', claim]),
      ...rosters,
    ]);
    if (Array.isArray(answer) && answer.length === 0) return { outcome: 'stale' };
    const parsed = applied.safeParse(answer);
    if (!parsed.success) return undefined;
    const [granted, connections, enqueued, dueInMs, refused, fetched] = parsed.data;
    return {
      outcome: 'applied',
      granted,
      connections,
      enqueued,
      dueInMs,
      refused: new Set(refused.map((index) => items[index]?.field ?? '')),
      rosters: new Map(fetched.map((one, index) => [rosters[index] ?? '', one])),
    };
  }

  async own(appId: string): Promise<Own | undefined> {
    // As a list: an object could not have a channel called __proto__.
    const answer = texts.safeParse(await this.#patience.ask((client) => client.call('HGETALL', this.#ownKey(appId))));
    if (!answer.success) return undefined;
    const found = new Map(pairs(answer.data));
    const mark = found.get(scripts.MARK) ?? '';
    found.delete(scripts.MARK);
    return { mark, counts: new Map([...found].map(([field, count]) => [field, Number(count)])) };
  }

  async marks(appIds: readonly string[]): Promise<readonly string[] | undefined> {
    const keys = appIds.map((appId) => this.#ownKey(appId));
    const answers = await this.#patience.ask((client) => fieldOfMany(client, keys, scripts.MARK));
    return answers?.map((mark) => mark ?? '');
  }

  async totals(appId: string): Promise<ReadonlyMap<string, number> | undefined> {
    const answer = texts.safeParse(
      await this.#patience.ask((client) => client.call('HGETALL', this.#totalsKey(appId))),
    );
    return answer.success ? new Map(pairs(answer.data).map(([field, total]) => [field, Number(total)])) : undefined;
  }

  async total(appId: string, fields: readonly string[]): Promise<readonly number[] | undefined> {
    const answer = await this.#patience.ask((client) => client.hmget(this.#totalsKey(appId), ...fields));
    return answer?.map((total) => Number(total ?? 0));
  }

  async roster(appId: string, channel: string): Promise<Roster | undefined> {
    return roster.safeParse(await this.#run(ROSTER, [this.#tag(appId)], [channel])).data;
  }

  async rosterHeads(appId: string, channels: readonly string[]): Promise<readonly RosterHead[] | undefined> {
    const answer = z.array(number).safeParse(await this.#run(ROSTER_HEADS, [this.#tag(appId)], channels)).data;
    return answer && channels.map((_, at) => ({ version: answer[2 * at] ?? 0, size: answer[2 * at + 1] ?? 0 }));
  }

  holders(appId: string): Promise<readonly string[] | undefined> {
    return this.#patience.ask((client) => client.smembers(`${this.#tag(appId)}:holders`));
  }

  async settle(appId: string, rules: Rules): Promise<Settled | undefined> {
    const answer = settled.safeParse(await this.#announcing(SETTLE, appId, rules, this.replica, []));
    return answer.data && { enqueued: answer.data[0], dueInMs: answer.data[1] };
  }

  async touch(appIds: readonly string[]): Promise<boolean> {
    const { beats, appsOf } = this.#options.keys;
    for (let at = 0; at < appIds.length; at += APPS_PER_TOUCH) {
      const some = appIds.slice(at, at + APPS_PER_TOUCH);
      const answer = await this.#run(TOUCH, [beats, appsOf(this.replica)], [this.replica, ...some]);
      if (answer === undefined) return false;
    }
    return true;
  }

  async untouch(appId: string): Promise<void> {
    await this.#patience.ask((client) => client.srem(this.#options.keys.appsOf(this.replica), appId));
  }

  async beat(): Promise<Beat | undefined> {
    const { beats, appsOf } = this.#options.keys;
    const answer = beat.safeParse(await this.#run(BEAT, [beats, appsOf(this.replica)], [this.replica, this.#leaseMs]));
    if (!answer.success) return undefined;
    const [apps, known, silent, dead] = answer.data;
    return { apps, known, silent, dead };
  }

  async appsOfDead(replica: string): Promise<readonly string[] | undefined> {
    const args = [replica, this.replica, BURIAL_LOCK_MS];
    return texts.safeParse(await this.#run(APPS_OF_DEAD, this.#burialKeys(replica), args)).data;
  }

  async reap(
    appId: string,
    replica: string,
    rules: Rules,
  ): Promise<(Settled & { readonly done: boolean }) | undefined> {
    const answer = reaped.safeParse(await this.#announcing(REAP, appId, rules, replica, [REAPED]));
    return answer.data && { enqueued: answer.data[0], dueInMs: answer.data[1], done: answer.data[2] === 1 };
  }

  async bury(replica: string): Promise<void> {
    await this.#run(BURY, this.#burialKeys(replica), [replica, this.#leaseMs]);
  }

  async leave(): Promise<void> {
    // A lease of -1: it has spoken, and is gone all the same.
    await this.#run(BURY, this.#burialKeys(this.replica), [this.replica, -1]);
  }

  #announcing(
    which: Script,
    appId: string,
    { webhooks, subscriptionCounts }: Rules,
    replica: string,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const rules = [`,${[...webhooks].join(',')},`, subscriptionCounts ? 1 : 0, this.#holdMs, this.#leaseMs];
    return this.#run(which, [this.#tag(appId)], [...rules, replica, ...args]);
  }

  #run(which: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#patience.ask((client) => runScript(client, which, keys, args));
  }

  #tag(appId: string): string {
    return this.#options.keys.slot(appId);
  }

  #ownKey(appId: string): string {
    return `${this.#tag(appId)}:own:${this.replica}`;
  }

  #totalsKey(appId: string): string {
    return `${this.#tag(appId)}:totals`;
  }

  #burialKeys(replica: string): string[] {
    const { beats, appsOf, burial } = this.#options.keys;
    return [beats, appsOf(replica), burial(replica)];
  }
}

/** As few writes to the connection as the form of Redis allows. */
async function fieldOfMany(client: RedisClient, keys: readonly string[], field: string): Promise<(string | null)[]> {
  if (client instanceof Cluster) return Promise.all(keys.map((key) => client.hget(key, field)));
  const pipeline = client.pipeline();
  for (const key of keys) pipeline.hget(key, field);
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, value]) => {
    if (error !== null) throw error;
    return typeof value === 'string' ? value : null;
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: Math.floor(flat.length / 2) }, (_, at) => [flat[2 * at] ?? '', flat[2 * at + 1] ?? '']);
}
