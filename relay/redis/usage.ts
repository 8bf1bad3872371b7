import { z } from 'zod';
import { PATIENCE_MS } from '../bus/bus.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { Counted } from '../occupancy/occupancy.ts';
import { BUCKETS, GRANULARITIES, type Granularity } from '../usage/buckets.ts';
import { addUp, type UsageCounts, type UsagePoint, type UsageSnapshot, type UsageStore } from '../usage/usage-store.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';

export type RedisUsageOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  /** Of this boot: numbers are absolute, so two boots must not share a field. */
  readonly replica: string;
  readonly now: Monotonic;
};

/**
 * KEYS minute, hour, day: hashes of replica → numbers, and `#peak` · ARGV[1] replica, ARGV[2..4] its numbers (connectionsPeak first),
 * ARGV[5..7] seconds that a bucket is kept.
 * The peak of a minute is the sum of the replicas' peaks in it, that of a longer bucket the highest of its minutes.
 */
const WRITE = `
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[1], ARGV[i + 1])
  redis.call('EXPIRE', key, ARGV[i + 4])
end
local peak = 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i] ~= '#peak' then peak = peak + tonumber(string.match(fields[i + 1], '^%d+')) end
end
for _, key in ipairs(KEYS) do
  if peak > tonumber(redis.call('HGET', key, '#peak') or '0') then redis.call('HSET', key, '#peak', peak) end
end
return 1`;

const PEAK = '#peak';
const hash = z.record(z.string(), z.string());
/** `ioredis` answers an array of [error, result]. */
const replies = z.array(z.tuple([z.null(), hash]));

export class RedisUsage implements UsageStore {
  readonly #keys: AppKeys;
  readonly #replica: string;
  readonly #patience: Patience;

  constructor({ client, keys, replica, now }: RedisUsageOptions) {
    this.#keys = keys;
    this.#replica = replica;
    this.#patience = new Patience(client, PATIENCE_MS, now);
  }

  async write(appId: string, snapshot: UsageSnapshot): Promise<boolean> {
    const keys = GRANULARITIES.map((granularity) => keyOf(this.#keys, appId, granularity, snapshot[granularity].start));
    const numbers = GRANULARITIES.map((granularity) => encode(snapshot[granularity].counts));
    const seconds = GRANULARITIES.map((granularity) => BUCKETS[granularity].kept / 1000);
    const answer = await this.#patience.ask((client) =>
      client.call('EVAL', WRITE, keys.length, ...keys, this.#replica, ...numbers, ...seconds),
    );
    return answer !== undefined;
  }

  async read(
    appId: string,
    granularity: Granularity,
    starts: readonly number[],
  ): Promise<Counted<readonly UsagePoint[]>> {
    const answer = await this.#patience.ask((client) => {
      const pipeline = client.pipeline();
      for (const start of starts) pipeline.hgetall(keyOf(this.#keys, appId, granularity, start));
      return pipeline.exec();
    });
    const { data } = replies.safeParse(answer);
    const value = starts.map((start, index) => ({ start, counts: countsOf(data?.[index]?.[1] ?? {}) }));
    return { value, reached: data !== undefined };
  }
}

function countsOf({ [PEAK]: peak = '0', ...replicas }: Readonly<Record<string, string>>): UsageCounts {
  return { ...addUp(Object.values(replicas).map(decode)), connectionsPeak: Number(peak) };
}

function encode(counts: UsageCounts): string {
  return [
    counts.connectionsPeak,
    counts.connectionsOpened,
    counts.messagesIn,
    counts.messagesOut,
    counts.apiCalls,
  ].join(',');
}

function decode(text: string): UsageCounts {
  const [connectionsPeak = 0, connectionsOpened = 0, messagesIn = 0, messagesOut = 0, apiCalls = 0] = text
    .split(',')
    .map(Number);
  return { connectionsPeak, connectionsOpened, messagesIn, messagesOut, apiCalls };
}

const keyOf = (keys: AppKeys, appId: string, granularity: Granularity, start: number): string =>
  `${keys.slot(appId)}:usage:${granularity}:${start}`;
