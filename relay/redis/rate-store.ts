import { z } from 'zod';
import type { Rate } from '#crds/rate.ts';
import { PATIENCE_MS } from '../bus/bus.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { BudgetId, Lease, LeaseRequest, RateStore } from '../limits/rate-store.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';
import { runScript, script } from './script.ts';

export type RedisRateStoreOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  readonly now: Monotonic;
};

/**
 * `leaseFrom` of limits/rate-store.ts by Redis' own clock. KEYS[1] hash: `tokens` with fractions, `at` in microseconds; gone when it would
 * be full. ARGV[1] requests per minute, ARGV[2] burst, ARGV[3] need, ARGV[4] want, ARGV[5] back. Answers {granted, thousandths left}.
 */
const LEASE = script(`
local per_minute, burst, need, want, back = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local per_us = per_minute / 60000000
local known = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if known[1] then tokens = math.min(burst, tonumber(known[1]) + math.max(0, now - tonumber(known[2])) * per_us) end
tokens = math.max(0, math.min(burst, tokens + back))
local ahead = math.min(want, math.max(math.floor(tokens / 4), math.floor(per_us * 20000)))
local granted = math.min(math.floor(tokens), math.max(need, ahead))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / per_us / 1000) + 1000)
return {granted, math.floor(tokens * 1000)}`);

const answer = z.tuple([z.coerce.number(), z.coerce.number()]);

/** The replicas are counted this often, in milliseconds. */
const COUNT_MS = 3_000;

export class RedisRateStore implements RateStore {
  readonly #keys: AppKeys;
  readonly #patience: Patience;
  readonly #now: Monotonic;
  #replicas = 1;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor({ client, keys, now }: RedisRateStoreOptions) {
    this.#keys = keys;
    this.#now = now;
    this.#patience = new Patience(client, PATIENCE_MS, now);
  }

  async lease({ appId, name }: BudgetId, rate: Rate, { need, want, back }: LeaseRequest): Promise<Lease | undefined> {
    if (this.#now() - this.#countedAt > COUNT_MS) void this.#count();
    const key = `${this.#keys.slot(appId)}:rate:${name}`;
    const args = [rate.requestsPerMinute, rate.burst, need, want, back];
    const parsed = answer.safeParse(await this.#patience.ask((client) => runScript(client, LEASE, [key], args)));
    return parsed.success ? { granted: parsed.data[0], left: parsed.data[1] / 1000 } : undefined;
  }

  replicas(): number {
    return this.#replicas;
  }

  async #count(): Promise<void> {
    this.#countedAt = this.#now();
    const living = await this.#patience.ask((client) => client.zcard(this.#keys.beats));
    if (living !== undefined) this.#replicas = Math.max(1, living);
  }
}
