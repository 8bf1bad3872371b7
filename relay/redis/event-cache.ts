import { z } from 'zod';
import { PATIENCE_MS } from '../bus/bus.ts';
import { MISS_MEMORY_MS, type CachedEvent, type EventCache } from '../cache/event-cache.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { Counted } from '../occupancy/occupancy.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';
import { runScript, script } from './script.ts';

export type RedisEventCacheOptions = {
  /** The connection that the bus publishes on: what is kept before an event is published is there before the event arrives. */
  readonly client: RedisClient;
  readonly keys: AppKeys;
  readonly now: Monotonic;
};

/** KEYS[1] cached event · answers {tail, milliseconds left}, or nil. */
const LAST = `
local tail = redis.call('GET', KEYS[1])
if not tail then return false end
return {tail, redis.call('PTTL', KEYS[1])}`;

/** KEYS[1] cached event, KEYS[2] marker · ARGV[1] ms. Answers 1 to the first who misses. */
const FIRST_MISS = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[1]) then return 1 end
return 0`);

/**
 * KEYS[1] cached event, KEYS[2] marker, KEYS[3] sorted set of the app's cached channels by the ms at which their time ends · ARGV[1] tail,
 * ARGV[2] ms, ARGV[3] channel, ARGV[4] most, ARGV[5] what stands before a channel in the key of its event.
 *
 * Sent in full each time and not by its SHA-1: a second try would come after the event that the bus sends on the same connection.
 */
const KEEP = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('ZADD', KEYS[3], now + ARGV[2], ARGV[3])
if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[3], ARGV[2]) end
local over = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[4])
if over > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[3], math.min(over, 100))
  for i = 1, #popped, 2 do redis.call('DEL', ARGV[5] .. popped[i]) end
end
return 1`;

const found = z.tuple([z.instanceof(Buffer), z.coerce.number()]);

export class RedisEventCache implements EventCache {
  readonly #keys: AppKeys;
  readonly #patience: Patience;

  constructor({ client, keys, now }: RedisEventCacheOptions) {
    this.#keys = keys;
    this.#patience = new Patience(client, PATIENCE_MS, now);
  }

  async keep(appId: string, channel: string, tail: Buffer, ttlMs: number, most: number): Promise<void> {
    const { cached, missed, cachedChannels } = this.#keys;
    const keys = [cached(appId, channel), missed(appId, channel), cachedChannels(appId)];
    await this.#patience.ask((client) =>
      client.call('EVAL', KEEP, 3, ...keys, tail, ttlMs, channel, most, cached(appId, '')),
    );
  }

  async last(appId: string, channel: string): Promise<Counted<CachedEvent | undefined>> {
    const answer = await this.#patience.ask((client) =>
      client.callBuffer('EVAL', LAST, 1, this.#keys.cached(appId, channel)),
    );
    const parsed = found.safeParse(answer);
    if (!parsed.success) return { value: undefined, reached: answer !== undefined };
    const [tail, expiresInMs] = parsed.data;
    return { value: { tail, expiresInMs }, reached: true };
  }

  async firstMiss(appId: string, channel: string): Promise<boolean> {
    const keys = [this.#keys.cached(appId, channel), this.#keys.missed(appId, channel)];
    return (await this.#patience.ask((client) => runScript(client, FIRST_MISS, keys, [MISS_MEMORY_MS]))) === 1;
  }
}
