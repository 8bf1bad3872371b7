import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryPublicKeys } from '#relay/encryption/memory.ts';
import type { PublicKeys } from '#relay/encryption/public-keys.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady, type RedisConnection } from '#relay/redis/connection.ts';
import { RedisPublicKeys } from '#relay/redis/public-keys.ts';
import { RedisUsage } from '#relay/redis/usage.ts';
import { BUCKETS, bucketStart } from '#relay/usage/buckets.ts';
import { MemoryUsageWorld } from '#relay/usage/memory.ts';
import { NO_USAGE, type UsageCounts, type UsageSnapshot, type UsageStore } from '#relay/usage/usage-store.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';

/** What the stores of usage and of public keys promise, in memory and in Redis. */
const now = (): number => performance.now();
const MAX_KEYS = 2;
const replicas = ['one', 'two'] as const;

type Part = AsyncDisposable & {
  readonly usage: Readonly<Record<(typeof replicas)[number], UsageStore>>;
  readonly keys: PublicKeys;
  goAway(): Promise<void>;
};

async function overRedis(
  urls: readonly [string, string],
  stack: AsyncDisposableStack,
  kill: () => Promise<void>,
): Promise<Part> {
  const connect = async (url: string): Promise<RedisConnection> => {
    const client = connectRedis({ url, log: pino({ level: 'silent' }), name: 'stores' });
    stack.defer(() => client.disconnect());
    await whenReady(client, AbortSignal.timeout(30_000));
    return client;
  };
  const [first, second] = await Promise.all(urls.map(connect));
  if (first === undefined || second === undefined) throw new Error('no connections');
  return {
    usage: {
      one: new RedisUsage({ client: first, keys: appKeys(), replica: 'one:1', now }),
      two: new RedisUsage({ client: second, keys: appKeys(), replica: 'two:1', now }),
    },
    keys: new RedisPublicKeys({ client: first, keys: appKeys(), now, max: MAX_KEYS }),
    goAway: kill,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const parts: readonly [name: string, start: () => Promise<Part>][] = [
  [
    'memory',
    () => {
      const world = new MemoryUsageWorld(Date.now);
      const keys = new MemoryPublicKeys(MAX_KEYS);
      return Promise.resolve({
        usage: { one: world.store('one'), two: world.store('two') },
        keys,
        goAway: () => {
          world.goAway();
          keys.goAway();
          return Promise.resolve();
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
  ],
  [
    'Redis, as the documented user',
    async () => {
      const stack = new AsyncDisposableStack();
      const redis = stack.use(await startRedis({ acl: await documentedUsers() }));
      const url = withUser(redis.url, 'relay');
      return overRedis([url, url], stack, () => redis.kill9());
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const stack = new AsyncDisposableStack();
      const cluster = stack.use(await startCluster());
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      return overRedis([url, url], stack, async () => {
        await Promise.all(cluster.nodes.map((node) => node.kill9()));
      });
    },
  ],
];

const at = Date.now();
const snapshot = (counts: Partial<UsageCounts>, when = at): UsageSnapshot => {
  const own = { ...NO_USAGE, ...counts };
  return {
    minute: { start: bucketStart('minute', when), counts: own },
    hour: { start: bucketStart('hour', when), counts: own },
    day: { start: bucketStart('day', when), counts: own },
  };
};

describe.each(parts)('%s', (_, start) => {
  let part: Part;
  beforeAll(async () => {
    part = await start();
  });
  afterAll(() => part[Symbol.asyncDispose]());

  const read = async (
    appId: string,
    granularity: 'minute' | 'hour' | 'day',
    when = at,
  ): Promise<UsageCounts | undefined> => {
    const { value, reached } = await part.usage.one.read(appId, granularity, [bucketStart(granularity, when)]);
    expect(reached).toBe(true);
    return value[0]?.counts;
  };

  test('absolute numbers: the last write of a replica counts, and replicas add up', async () => {
    await part.usage.one.write('101', snapshot({ apiCalls: 5, messagesIn: 1, messagesOut: 2, connectionsOpened: 3 }));
    await part.usage.one.write('101', snapshot({ apiCalls: 7, messagesIn: 1, messagesOut: 2, connectionsOpened: 3 }));
    await part.usage.two.write('101', snapshot({ apiCalls: 10 }));
    for (const granularity of ['minute', 'hour', 'day'] as const) {
      expect(await read('101', granularity)).toEqual({
        apiCalls: 17,
        messagesIn: 1,
        messagesOut: 2,
        connectionsOpened: 3,
        connectionsPeak: 0,
      });
    }
    expect(await read('102', 'day')).toEqual(NO_USAGE);
  });

  test('the peak: replicas add up within a minute, longer buckets have their highest minute', async () => {
    const hourBegins = bucketStart('hour', at);
    await part.usage.one.write('103', snapshot({ connectionsPeak: 4 }, hourBegins));
    await part.usage.two.write('103', snapshot({ connectionsPeak: 5 }, hourBegins));
    await part.usage.one.write('103', snapshot({ connectionsPeak: 4 }, hourBegins + BUCKETS.minute.length));
    await part.usage.two.write('103', snapshot({ connectionsPeak: 6 }, hourBegins + 2 * BUCKETS.minute.length));
    expect(await read('103', 'minute', hourBegins)).toMatchObject({ connectionsPeak: 9 });
    expect(await read('103', 'minute', hourBegins + BUCKETS.minute.length)).toMatchObject({ connectionsPeak: 4 });
    expect(await read('103', 'hour', hourBegins)).toMatchObject({ connectionsPeak: 9 });
    expect(await read('103', 'day', hourBegins)).toMatchObject({ connectionsPeak: 9 });
  });

  test('points come in the order that was asked for, and what was never written is zero', async () => {
    const starts = [bucketStart('minute', at), 0, bucketStart('minute', at)];
    const { value } = await part.usage.two.read('101', 'minute', starts);
    expect(value.map(({ start, counts }) => [start, counts.apiCalls])).toEqual([
      [starts[0], 17],
      [0, 0],
      [starts[0], 17],
    ]);
    expect(await part.usage.two.read('101', 'minute', [])).toEqual({ value: [], reached: true });
  });

  test('public keys: put, replace, get, list, remove, apart by app', async () => {
    const key = (
      participant: string,
      publicKey: string,
    ): { participant: string; publicKey: string; registeredAt: number } => ({
      participant,
      publicKey,
      registeredAt: at,
    });
    expect(await part.keys.put('101', key('bob', 'B'))).toBe('stored');
    expect(await part.keys.put('101', key('ada', 'A'))).toBe('stored');
    expect(await part.keys.put('101', key('ada', 'A2'))).toBe('stored');
    expect(await part.keys.put('101', key('eve', 'E'))).toBe('full');
    expect(await part.keys.put('102', key('eve', 'E'))).toBe('stored');
    expect(await part.keys.list('101')).toEqual([key('ada', 'A2'), key('bob', 'B')]);
    expect(await part.keys.get('101', 'ada')).toEqual(key('ada', 'A2'));
    expect(await part.keys.get('101', 'eve')).toBeUndefined();
    expect(await part.keys.remove('101', 'ada')).toBe('removed');
    expect(await part.keys.remove('101', 'ada')).toBe('unknown');
    expect(await part.keys.put('101', key('eve', 'E'))).toBe('stored');
    expect(await part.keys.put('101', key('__proto__', 'P'))).toBe('full');
  });

  test('while the store is away nothing rejects', async () => {
    await part.goAway();
    expect(await part.usage.one.write('101', snapshot({}))).toBe(false);
    expect(await part.usage.one.read('101', 'day', [0])).toEqual({
      value: [{ start: 0, counts: NO_USAGE }],
      reached: false,
    });
    expect(await part.keys.list('101')).toBe('away');
    expect(await part.keys.get('101', 'x')).toBe('away');
    expect(await part.keys.remove('101', 'x')).toBe('away');
    expect(await part.keys.put('101', { participant: 'x', publicKey: 'x', registeredAt: 0 })).toBe('away');
  });
});
