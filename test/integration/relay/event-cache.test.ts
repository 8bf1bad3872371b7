import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EventCache } from '#relay/cache/event-cache.ts';
import { MemoryEventCache } from '#relay/cache/memory.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { RedisEventCache } from '#relay/redis/event-cache.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';

const now = (): number => performance.now();
const tail = (text: string): Buffer => Buffer.from(text);

async function redisCache(url: string): Promise<{ cache: EventCache; close: () => void }> {
  const client = connectRedis({ url, log: pino({ level: 'silent' }), name: 'cache' });
  await whenReady(client, AbortSignal.timeout(30_000));
  return { cache: new RedisEventCache({ client, keys: appKeys(), now }), close: () => client.disconnect() };
}

type Part = AsyncDisposable & { readonly caches: readonly [EventCache, EventCache] };

const parts: [name: string, start: () => Promise<Part>][] = [
  [
    'memory',
    () => {
      const cache = new MemoryEventCache(now);
      return Promise.resolve({ caches: [cache, cache], [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  ],
  [
    'Redis, as the documented user',
    async () => {
      const redis = await startRedis({ acl: await documentedUsers() });
      const [one, two] = await Promise.all([1, 2].map(() => redisCache(withUser(redis.url, 'relay'))));
      if (one === undefined || two === undefined) throw new Error('no caches');
      return {
        caches: [one.cache, two.cache],
        [Symbol.asyncDispose]: async () => {
          one.close();
          two.close();
          await redis[Symbol.asyncDispose]();
        },
      };
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const cluster = await startCluster();
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      const [one, two] = await Promise.all([1, 2].map(() => redisCache(url)));
      if (one === undefined || two === undefined) throw new Error('no caches');
      return {
        caches: [one.cache, two.cache],
        [Symbol.asyncDispose]: async () => {
          one.close();
          two.close();
          await cluster[Symbol.asyncDispose]();
        },
      };
    },
  ],
];

describe.each(parts)('the event cache in %s', (_name, start) => {
  let part: Part;
  let one: EventCache;
  let two: EventCache;
  beforeAll(async () => {
    part = await start();
    [one, two] = part.caches;
  });
  afterAll(() => part[Symbol.asyncDispose]());

  test('the last event is there at every replica, with what is left of its time, and not in another app', async () => {
    await one.keep('1', 'cache-a', tail('first'), 60_000, 100);
    await one.keep('1', 'cache-a', tail('\u{1f600} second'), 60_000, 100);
    const { value, reached } = await two.last('1', 'cache-a');
    expect(reached).toBe(true);
    expect(value?.tail.toString()).toBe('\u{1f600} second');
    expect(value?.expiresInMs).toBeGreaterThan(0);
    expect(value?.expiresInMs).toBeLessThanOrEqual(60_000);
    expect(await two.last('2', 'cache-a')).toEqual({ value: undefined, reached: true });
  });

  test('it goes when its time is over', async () => {
    await one.keep('1', 'cache-b', tail('x'), 20, 100);
    await eventually(async () => (await two.last('1', 'cache-b')).value === undefined);
  });

  test('of many who miss one is the first, and again after an event came and went', async () => {
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).firstMiss('1', 'cache-c')),
    );
    expect(asked.filter(Boolean)).toHaveLength(1);
    await one.keep('1', 'cache-c', tail('x'), 20, 100);
    await eventually(async () => await two.firstMiss('1', 'cache-c'));
    expect(await one.firstMiss('1', 'cache-c')).toBe(false);
  });

  test('an app keeps so many and no more: those go first whose time ends first', async () => {
    for (let n = 0; n < 12; n += 1) await one.keep('3', `cache-${n}`, tail(`${n}`), 60_000 + n, 10);
    await one.keep('4', 'cache-0', tail('other'), 1_000, 10);
    const left = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => (await two.last('3', `cache-${n}`)).value),
    );
    expect(left.map((event) => event?.tail.toString())).toEqual([
      undefined,
      undefined,
      ...Array.from({ length: 10 }, (_, n) => `${n + 2}`),
    ]);
    // Keeping one again is no new one.
    await one.keep('3', 'cache-11', tail('again'), 60_011, 10);
    expect((await two.last('3', 'cache-2')).value?.tail.toString()).toBe('2');
  });

  test('a channel that has an event is not missed', async () => {
    await one.keep('1', 'cache-d', tail('x'), 60_000, 100);
    expect(await two.firstMiss('1', 'cache-d')).toBe(false);
  });
});

test('Redis away: nobody waits, nothing throws', async () => {
  const redis = await startRedis();
  const { cache, close } = await redisCache(redis.url);
  await redis[Symbol.asyncDispose]();
  await cache.keep('1', 'cache-a', tail('x'), 60_000, 100);
  expect(await cache.last('1', 'cache-a')).toEqual({ value: undefined, reached: false });
  expect(await cache.firstMiss('1', 'cache-a')).toBe(false);
  close();
});
