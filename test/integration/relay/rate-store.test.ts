import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rate } from '#crds/rate.ts';
import { MemoryRateStore } from '#relay/limits/memory-rate-store.ts';
import { RateLimiter } from '#relay/limits/rate-limiter.ts';
import type { RateStore } from '#relay/limits/rate-store.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { RedisRateStore } from '#relay/redis/rate-store.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';

const now = (): number => performance.now();

async function redisStore(url: string): Promise<{ store: RateStore; close: () => void }> {
  const client = connectRedis({ url, log: pino({ level: 'silent' }), name: 'rates' });
  await whenReady(client, AbortSignal.timeout(30_000));
  return { store: new RedisRateStore({ client, keys: appKeys(), now }), close: () => client.disconnect() };
}

type Part = AsyncDisposable & { readonly stores: readonly [RateStore, RateStore] };

async function overRedis(url: string, server: AsyncDisposable): Promise<Part> {
  const [one, two] = [await redisStore(url), await redisStore(url)];
  return {
    stores: [one.store, two.store],
    [Symbol.asyncDispose]: async () => {
      one.close();
      two.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const parts: [name: string, start: () => Promise<Part>][] = [
  [
    'memory',
    () => {
      const store = new MemoryRateStore(now);
      return Promise.resolve({ stores: [store, store], [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  ],
  [
    'Redis, as the documented user',
    async () => {
      const redis = await startRedis({ acl: await documentedUsers() });
      return overRedis(withUser(redis.url, 'relay'), redis);
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const cluster = await startCluster();
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      return overRedis(url, cluster);
    },
  ],
];

describe.each(parts)('the rate store in %s', (_name, start) => {
  let part: Part;
  let one: RateStore;
  let two: RateStore;
  let budgets = 0;
  beforeAll(async () => {
    part = await start();
    [one, two] = part.stores;
  });
  afterAll(() => part[Symbol.asyncDispose]());

  const fresh = (): { readonly appId: string; readonly name: string } => ({ appId: '1', name: `b${(budgets += 1)}` });
  // So slow that next to nothing comes back during a test.
  const slow: Rate = { requestsPerMinute: 1, burst: 40 };
  const need = (count: number): { need: number; want: number; back: number } => ({ need: count, want: count, back: 0 });

  test('a lease is gone for everybody, what comes back is there for everybody, and never more than the burst', async () => {
    const budget = fresh();
    expect(await one.lease(budget, slow, need(10))).toMatchObject({ granted: 10 });
    expect(Math.floor((await two.lease(budget, slow, need(10)))?.left ?? -1)).toBe(20);
    expect(await one.lease(budget, slow, { need: 0, want: 0, back: 5 })).toMatchObject({ granted: 0 });
    expect(await two.lease(budget, slow, need(100))).toMatchObject({ granted: 25 });
    expect(await one.lease(budget, slow, need(1))).toMatchObject({ granted: 0 });
    const returned = await two.lease(budget, slow, { need: 0, want: 0, back: 1_000 });
    expect(returned?.left).toBe(40);
  });

  test('what is taken ahead is a quarter of what is left at the most; what is needed comes first', async () => {
    const budget = fresh();
    expect(await one.lease(budget, slow, { need: 0, want: 100, back: 0 })).toMatchObject({ granted: 10 });
    expect(await one.lease(budget, slow, { need: 20, want: 100, back: 0 })).toMatchObject({ granted: 20 });
    expect(await one.lease(budget, slow, { need: 0, want: 1, back: 0 })).toMatchObject({ granted: 1 });
  });

  test('what was spent without a lease is taken off afterwards, down to nothing', async () => {
    const budget = fresh();
    await one.lease(budget, slow, { need: 0, want: 0, back: -30 });
    expect(await two.lease(budget, slow, need(100))).toMatchObject({ granted: 10 });
    await one.lease(budget, slow, { need: 0, want: 0, back: -30 });
    expect((await two.lease(budget, slow, need(1)))?.left).toBeLessThan(1);
  });

  test('it fills at its rate and not above its burst; another rule counts at once', async () => {
    const budget = fresh();
    await one.lease(budget, slow, need(40));
    const fast: Rate = { requestsPerMinute: 60_000, burst: 5 };
    await eventually(async () => (await one.lease(budget, fast, need(0)))?.left === 5);
    expect(await two.lease(budget, fast, need(100))).toMatchObject({ granted: 5 });
  });

  test('budgets and apps are apart', async () => {
    const budget = fresh();
    await one.lease(budget, slow, need(40));
    expect(await one.lease({ ...budget, appId: '2' }, slow, need(1))).toMatchObject({ granted: 1 });
    expect(await one.lease(fresh(), slow, need(1))).toMatchObject({ granted: 1 });
  });

  test('limiters of several replicas, arrivals that cross: never more than burst and refill', async () => {
    const rate: Rate = { requestsPerMinute: 6_000, burst: 50 };
    const limiters = [one, two, one].map((store) => new RateLimiter(store, now));
    const subject = { appId: '1', budget: fresh().name, policy: 'app', rate } as const;
    const started = now();
    let admitted = 0;
    const client = async (limiter: RateLimiter, pauseMs: number): Promise<void> => {
      while (now() - started < 2_000) {
        if ((await limiter.take(subject)).admitted) admitted += 1;
        limiter.sweep();
        await delay(pauseMs);
      }
    };
    const pauses = [0, 7, 14, 1, 8, 15, 2, 9];
    await Promise.all(limiters.flatMap((limiter) => pauses.map((pauseMs) => client(limiter, pauseMs))));
    const most = rate.burst + ((now() - started) * rate.requestsPerMinute) / 60_000;
    expect(admitted).toBeLessThanOrEqual(most);
    // What comes back is given out, too; how nearly all of it is for the unit tests, whose clock stands still.
    expect(admitted).toBeGreaterThan(rate.burst);
    await Promise.all(limiters.map((limiter) => limiter[Symbol.asyncDispose]()));
  });
});

test('Redis away: no answer, and soon; back again: leases as before', async () => {
  const redis = await startRedis();
  const { store, close } = await redisStore(redis.url);
  const rate: Rate = { requestsPerMinute: 60, burst: 5 };
  const budget = { appId: '1', name: 'app' };
  expect(await store.lease(budget, rate, { need: 1, want: 1, back: 0 })).toMatchObject({ granted: 1 });
  await redis.kill9();
  await eventually(async () => (await store.lease(budget, rate, { need: 1, want: 1, back: 0 })) === undefined);
  await redis.start();
  await eventually(async () => (await store.lease(budget, rate, { need: 1, want: 1, back: 0 }))?.granted === 1);
  close();
  await redis[Symbol.asyncDispose]();
});
