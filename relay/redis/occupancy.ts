import { z } from 'zod';
import { PATIENCE_MS } from '../bus/bus.ts';
import { withinConnectionQuota } from '../limits/connection-quota.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { BEAT_MS, LEASE_MS, type Counted, type LocalCounts, type Occupancy } from '../occupancy/occupancy.ts';
import type { AppKeys } from './app-keys.ts';
import { ADMIT, ALL_ELSEWHERE, LEAVE, ONE_ELSEWHERE, WRITE } from './occupancy-scripts.ts';
import { Patience, type RedisClient } from './patience.ts';

export type RedisOccupancyOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  /** Of this process, not of the machine: a replica that comes back must not take over the counts of the one that died. */
  readonly replica: string;
  readonly local: LocalCounts;
  readonly now: Monotonic;
};

const CONNECTIONS_FIELD = '#';
const FIELDS_PER_WRITE = 500;

const flatPairs = z.array(z.string());
const count = z.coerce.number().int();
const admission = z.tuple([z.coerce.number(), z.coerce.number()]);

/** Counts in one hash per app and replica, kept alive by a beat (directory.md has the same idea for replicas themselves). */
export class RedisOccupancy implements Occupancy {
  readonly #options: RedisOccupancyOptions;
  readonly #patience: Patience;
  /** What changed since the last write, by app; `undefined` instead of fields: everything. */
  readonly #dirty = new Map<string, Set<string> | undefined>();
  readonly #published = new Set<string>();
  readonly #lastElsewhere = new Map<string, number>();
  /** Claims under way, by app. */
  readonly #claims = new Map<string, number>();
  readonly #beat: NodeJS.Timeout;
  #writing: Promise<void> | undefined;

  constructor(options: RedisOccupancyOptions) {
    this.#options = options;
    this.#patience = new Patience(options.client, PATIENCE_MS, options.now);
    this.#beat = setInterval(() => this.#beatOnce(), BEAT_MS).unref();
  }

  changed(appId: string, channel: string | undefined): void {
    const fields = this.#dirty.has(appId) ? this.#dirty.get(appId) : new Set<string>();
    this.#dirty.set(appId, fields?.add(channel ?? CONNECTIONS_FIELD));
    this.#scheduleWrite();
  }

  async channelsElsewhere(appId: string): Promise<Counted<ReadonlyMap<string, number>>> {
    const answer = flatPairs.safeParse(await this.#run(ALL_ELSEWHERE, appId));
    const value = new Map<string, number>();
    const items = answer.success ? answer.data : [];
    for (let at = 0; at + 1 < items.length; at += 2) {
      const field = items[at] ?? CONNECTIONS_FIELD;
      if (field !== CONNECTIONS_FIELD) value.set(field, (value.get(field) ?? 0) + Number(items[at + 1]));
    }
    return { value, reached: answer.success };
  }

  async channelElsewhere(appId: string, channel: string): Promise<Counted<number>> {
    const answer = await this.#run(ONE_ELSEWHERE, appId, channel);
    const parsed = answer === undefined ? undefined : count.safeParse(answer);
    return { value: parsed?.data ?? 0, reached: parsed?.success ?? false };
  }

  async admit(appId: string, limit: number): Promise<boolean> {
    const here = this.#options.local.connections(appId);
    const answer = admission.safeParse(await this.#claiming(appId, () => this.#run(ADMIT, appId, limit, here)));
    if (!answer.success) return withinConnectionQuota(limit, here, this.#lastElsewhere.get(appId) ?? 0);
    const [admitted, elsewhere] = answer.data;
    this.#lastElsewhere.set(appId, elsewhere);
    if (admitted === 1) this.#published.add(appId);
    return admitted === 1;
  }

  /**
   * While claims are under way, `#` is theirs to write: a socket that waits for its answer is not told as a connection, or sockets that are
   * about to be refused would turn others away, at every replica.
   */
  async #claiming<T>(appId: string, claim: () => Promise<T>): Promise<T> {
    this.#claims.set(appId, (this.#claims.get(appId) ?? 0) + 1);
    try {
      return await claim();
    } finally {
      const left = (this.#claims.get(appId) ?? 1) - 1;
      if (left > 0) this.#claims.set(appId, left);
      else {
        this.#claims.delete(appId);
        this.changed(appId, undefined);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#beat);
    this.#dirty.clear();
    await this.#writing;
    await Promise.all([...this.#published].map((appId) => this.#run(LEAVE, appId)));
  }

  #run(script: string, appId: string, ...rest: readonly (string | number)[]): Promise<unknown> {
    return this.#patience.ask((client) =>
      client.call(
        'EVAL',
        script,
        1,
        this.#options.keys.replicas(appId),
        this.#options.keys.occupancyPrefix(appId),
        this.#options.replica,
        LEASE_MS,
        ...rest,
      ),
    );
  }

  #beatOnce(): void {
    for (const appId of this.#options.local.apps()) {
      if (!this.#dirty.has(appId)) this.#dirty.set(appId, new Set());
    }
    this.#scheduleWrite();
  }

  /** One writer at a time, beginning at the end of the turn: a burst of joins is one command, and writes never overtake each other. */
  #scheduleWrite(): void {
    this.#writing ??= new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#write())
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(): Promise<void> {
    while (this.#dirty.size > 0) {
      const batch = [...this.#dirty];
      this.#dirty.clear();
      const answers = await Promise.all(batch.map(([appId, fields]) => this.#writeApp(appId, fields)));
      // Away: the beat writes again, and everything, because it cannot know what got through.
      if (answers.includes(false)) return;
    }
  }

  async #writeApp(appId: string, fields: Set<string> | undefined): Promise<boolean> {
    const { local } = this.#options;
    if (local.connections(appId) === 0) {
      this.#published.delete(appId);
      return (await this.#run(LEAVE, appId)) !== undefined;
    }
    const everything = fields === undefined || !this.#published.has(appId);
    const pairs = everything ? this.#allPairs(appId) : this.#pairsOf(appId, fields);
    for (let at = 0; at === 0 || at < pairs.length; at += FIELDS_PER_WRITE) {
      // Anew, because what is there may name channels that were left while nothing could be written.
      const how = everything && at === 0 ? 'anew' : 'more';
      const existed = await this.#run(WRITE, appId, how, ...pairs.slice(at, at + FIELDS_PER_WRITE).flat());
      if (existed === undefined) {
        this.#published.delete(appId);
        return false;
      }
      // The store lost what it had (FLUSHALL, a failover, a lease that ran out while we were cut off).
      if (existed === 0 && !everything) this.#dirty.set(appId, undefined);
    }
    this.#published.add(appId);
    return true;
  }

  #allPairs(appId: string): (readonly [string, number])[] {
    const { local } = this.#options;
    const connections = [[CONNECTIONS_FIELD, local.connections(appId)] as const];
    return [...(this.#claims.has(appId) ? [] : connections), ...local.channels(appId)];
  }

  #pairsOf(appId: string, fields: ReadonlySet<string>): (readonly [string, number])[] {
    const { local } = this.#options;
    const told = [...fields].filter((field) => field !== CONNECTIONS_FIELD || !this.#claims.has(appId));
    return told.map((field) => [
      field,
      field === CONNECTIONS_FIELD ? local.connections(appId) : local.subscriptions(appId, field),
    ]);
  }
}
