import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { webhookKeys } from '#relay/redis/webhook-keys.ts';
import { RedisWebhookQueue } from '#relay/redis/webhook-queue.ts';
import { MemoryWebhookQueue, MemoryWebhookStore } from '#relay/webhooks/memory-queue.ts';
import { LANE_BYTES, LANE_EVENTS, LEASE_MS, type Delivery, type WebhookQueue } from '#relay/webhooks/webhook-queue.ts';
import type { WebhookEvent } from '#relay/webhooks/webhook-sink.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';

// The contract of the webhook queue (relay/webhooks/webhook-queue.ts), in memory and in Redis. Long, because it is one port with all that
// may go wrong with the Redis behind it.

const now = (): number => performance.now();
const keys = appKeys();

async function redisQueue(url: string, replica: string): Promise<{ queue: WebhookQueue; close: () => void }> {
  const client = connectRedis({ url, log: pino({ level: 'silent' }), name: replica });
  await whenReady(client, AbortSignal.timeout(30_000));
  const queue = new RedisWebhookQueue({ client, keys, prefix: '', replica, now, wallClock: Date.now });
  return { queue, close: () => client.disconnect() };
}

type World = AsyncDisposable & {
  readonly queues: readonly [WebhookQueue, WebhookQueue];
  /** Lets the time of the lease pass. */
  expireLease(appId: string): Promise<unknown>;
  activity(appId: string): Promise<unknown>;
};

async function redisWorld(
  url: string,
  serverOf: (key: string) => RedisServer | Promise<RedisServer>,
  dispose: () => PromiseLike<void>,
): Promise<World> {
  const [one, two] = [await redisQueue(url, 'one'), await redisQueue(url, 'two')];
  const on = async (key: string, name: string, ...args: (string | number)[]): Promise<unknown> =>
    (await serverOf(key)).command(name, key, ...args);
  return {
    queues: [one.queue, two.queue],
    expireLease: async (appId) => on(webhookKeys(keys, appId).lease, 'DEL'),
    activity: async (appId) => {
      const entries = (await on(webhookKeys(keys, appId).activity, 'XRANGE', '-', '+')) as [string, string[]][];
      return entries.map(([, [, type, , , , detail]]) => ({ type, ...(JSON.parse(detail ?? '') as object) }));
    },
    [Symbol.asyncDispose]: async () => {
      one.close();
      two.close();
      await dispose();
    },
  };
}

const worlds: [name: string, start: () => Promise<World>][] = [
  [
    'memory',
    () => {
      let time = 0;
      const store = new MemoryWebhookStore(() => time);
      return Promise.resolve({
        queues: [new MemoryWebhookQueue(store, 'one'), new MemoryWebhookQueue(store, 'two')],
        expireLease: () => Promise.resolve((time += LEASE_MS)),
        activity: (wanted) =>
          Promise.resolve(
            store.activity
              .filter(({ appId }) => appId === wanted)
              .map(({ appId: _appId, ...rest }) => ({ type: 'webhook_failed', ...rest })),
          ),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
  ],
  [
    'Redis, as the documented user',
    async () => {
      const redis = await startRedis({ acl: await documentedUsers() });
      return redisWorld(
        withUser(redis.url, 'relay'),
        () => redis,
        () => redis[Symbol.asyncDispose](),
      );
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const cluster = await startCluster();
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      return redisWorld(
        url,
        (key) => cluster.ownerOf(key),
        () => cluster[Symbol.asyncDispose](),
      );
    },
  ],
];

const occupied = (channel: string): WebhookEvent => ({ name: 'channel_occupied', channel });
const channelsOf = (deliveries: readonly Delivery[] | 'away'): string[] =>
  deliveries === 'away' ? ['away'] : deliveries.map(({ event }) => event.channel);
/** Names of webhooks are beginnings of channels here. */
const route = ({ channel }: WebhookEvent): string[] => ['a', 'b'].filter((name) => channel.includes(name));
const HOOKS = ['a', 'b'];

describe.each(worlds)('the webhook queue in %s', (_name, start) => {
  let world: World;
  let one: WebhookQueue;
  let two: WebhookQueue;
  let appId: string;
  let apps = 0;
  beforeAll(async () => {
    world = await start();
    [one, two] = world.queues;
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const newApp = (): string => (appId = String((apps += 1)));
  /** What waits, webhook by webhook. */
  const waiting = async (queue: WebhookQueue): Promise<string[][]> =>
    Promise.all(HOOKS.map(async (hook) => channelsOf(await queue.read(appId, hook, undefined, 100))));

  test('events go once to each webhook that wants them, in order, whoever took them in', async () => {
    newApp();
    expect(await one.add(appId, [occupied('a1'), occupied('b1')], 1_000)).toEqual({ dropped: 0 });
    await two.add(appId, [occupied('ab'), occupied('c')], 2_000);
    expect(await one.claim(appId, HOOKS)).toEqual({ kind: 'held' });
    expect(await one.step(appId, HOOKS, route)).toEqual({ kind: 'held', moved: 4, more: false, dropped: [] });
    expect(await one.step(appId, HOOKS, route)).toMatchObject({ moved: 0 });
    expect(await waiting(one)).toEqual([
      ['a1', 'ab'],
      ['b1', 'ab'],
    ]);
    const [first, second] = (await two.read(appId, 'a', undefined, 100)) as Delivery[];
    expect([first?.timeMs, second?.timeMs]).toEqual([1_000, 2_000]);
    expect(first?.event).toEqual(occupied('a1'));
    expect(channelsOf(await one.read(appId, 'a', first?.id, 100))).toEqual(['ab']);
    expect(channelsOf(await one.read(appId, 'a', undefined, 1))).toEqual(['a1']);
  });

  test('every field of an event arrives as it was', async () => {
    newApp();
    const event: WebhookEvent = {
      name: 'client_event',
      channel: 'presence-a',
      event: 'client-"\n\u{1f600}',
      data: '{"x":" "}',
      socket_id: '1.2',
      user_id: 'ü',
    };
    await one.add(appId, [event], 1);
    await one.claim(appId, HOOKS);
    await one.step(appId, HOOKS, route);
    expect(((await one.read(appId, 'a', undefined, 1)) as Delivery[])[0]?.event).toEqual(event);
  });

  test('one sends at a time; when its lease is over the other one goes on, and it learns that it lost', async () => {
    newApp();
    await one.add(appId, [occupied('a1'), occupied('a2')], 1);
    expect(await one.claim(appId, HOOKS)).toEqual({ kind: 'held' });
    expect(await one.claim(appId, HOOKS)).toEqual({ kind: 'held' });
    await one.step(appId, HOOKS, route);
    const taken = await two.claim(appId, HOOKS);
    expect(taken).toMatchObject({ kind: 'taken' });
    const forMs = taken.kind === 'taken' ? taken.forMs : 0;
    expect(forMs).toBeGreaterThan(LEASE_MS - 10_000);
    expect(forMs).toBeLessThanOrEqual(LEASE_MS);
    expect(await two.step(appId, HOOKS, route)).toEqual({ kind: 'lost' });
    await two.abandon(appId);
    expect(await two.claim(appId, HOOKS)).toMatchObject({ kind: 'taken' });
    await world.expireLease(appId);
    expect(await two.claim(appId, HOOKS)).toEqual({ kind: 'held' });
    expect(await one.step(appId, HOOKS, route)).toEqual({ kind: 'lost' });
    await one.abandon(appId);
    expect(await one.claim(appId, HOOKS)).toMatchObject({ kind: 'taken' });
    expect(channelsOf(await two.read(appId, 'a', undefined, 100))).toEqual(['a1', 'a2']);
    await two.abandon(appId);
    expect(await one.claim(appId, HOOKS)).toEqual({ kind: 'held' });
  });

  test('two that route at the same moment route each event once', async () => {
    newApp();
    await one.add(
      appId,
      Array.from({ length: 50 }, (_, n) => occupied(`a${n}`)),
      1,
    );
    await one.claim(appId, HOOKS);
    const first = one.step(appId, HOOKS, route);
    await world.expireLease(appId);
    await Promise.all([first, two.step(appId, HOOKS, route)]);
    expect((await waiting(one))[0]).toEqual(Array.from({ length: 50 }, (_, n) => `a${n}`));
  });

  test('what was delivered is gone, whoever says so and how often; then there is nothing to claim', async () => {
    newApp();
    expect(await one.claim(appId, HOOKS)).toEqual({ kind: 'empty' });
    await one.add(appId, [occupied('a1'), occupied('a2')], 1);
    await one.claim(appId, HOOKS);
    expect(await one.release(appId, HOOKS)).toBe('more');
    await one.step(appId, HOOKS, route);
    expect(await one.release(appId, HOOKS)).toBe('more');
    const ids = ((await one.read(appId, 'a', undefined, 100)) as Delivery[]).map(({ id }) => id);
    expect(await two.remove(appId, 'a', ids.slice(0, 1))).toBe(true);
    expect(await one.remove(appId, 'a', ids)).toBe(true);
    expect(await one.remove(appId, 'a', ids)).toBe(true);
    expect(await waiting(one)).toEqual([[], []]);
    expect(await one.release(appId, HOOKS)).toBe('released');
    expect(await two.claim(appId, HOOKS)).toEqual({ kind: 'empty' });
    expect(await two.release(appId, HOOKS)).toBe('released');
  });

  test('what is given up is told in the activity of the app', async () => {
    newApp();
    await one.add(appId, [occupied('a1')], 1);
    await one.claim(appId, HOOKS);
    await one.step(appId, HOOKS, route);
    const ids = ((await one.read(appId, 'a', undefined, 100)) as Delivery[]).map(({ id }) => id);
    await one.remove(appId, 'a', ids, { webhook: 'a', reason: 'timeout', events: 1 });
    await one.remove(appId, 'a', [], { webhook: 'a', reason: 'overflow', events: 7 });
    expect(await world.activity(appId)).toEqual([
      { type: 'webhook_failed', webhook: 'a', reason: 'timeout', events: 1 },
      { type: 'webhook_failed', webhook: 'a', reason: 'overflow', events: 7 },
    ]);
    expect(await waiting(one)).toEqual([[], []]);
  });

  test('a lane holds so many events and bytes: the oldest go, and are counted', async () => {
    newApp();
    const big = (n: number): WebhookEvent => ({
      name: 'client_event',
      channel: 'a',
      event: `client-${n}`,
      data: 'x'.repeat(100_000),
      socket_id: '1.1',
    });
    await one.claim(appId, HOOKS);
    let dropped = 0;
    for (let n = 0; n < 50; n += 10) {
      await one.add(
        appId,
        Array.from({ length: 10 }, (_, at) => big(n + at)),
        1,
      );
      const step = await one.step(appId, HOOKS, route);
      dropped += step.kind === 'held' ? (step.dropped[0]?.events ?? 0) : 0;
    }
    const fit = Math.floor(LANE_BYTES / 100_100);
    const left = (await one.read(appId, 'a', undefined, 100)) as Delivery[];
    expect(left).toHaveLength(fit);
    expect(dropped).toBe(50 - fit);
    expect(left.at(-1)?.event).toEqual(big(49));
    // Room is given back.
    await one.remove(
      appId,
      'a',
      left.map(({ id }) => id),
    );
    await one.add(appId, [big(50), big(51)], 1);
    expect(await one.step(appId, HOOKS, route)).toMatchObject({ dropped: [] });

    newApp();
    await one.claim(appId, HOOKS);
    let small = 0;
    for (let n = 0; n < LANE_EVENTS + 500; n += 500) {
      await one.add(
        appId,
        Array.from({ length: 500 }, () => occupied('a')),
        1,
      );
      for (let more = true; more;) {
        const step = await one.step(appId, HOOKS, route);
        more = step.kind === 'held' && step.more;
        small += step.kind === 'held' ? (step.dropped[0]?.events ?? 0) : 0;
      }
    }
    expect(small).toBe(500);
  });

  test('the sweep is one replica’s turn', async () => {
    const turns = await Promise.all([one.sweepTurn(60_000), two.sweepTurn(60_000), one.sweepTurn(60_000)]);
    expect(turns.filter(Boolean)).toHaveLength(1);
  });
});

test('what is no event of ours is dropped and does not stay in the way', async () => {
  await using redis = await startRedis();
  const { queue, close } = await redisQueue(redis.url, 'one');
  const { raw, deliveries } = webhookKeys(keys, '1');
  for (const fields of [
    ['x', 'y'],
    ['event', 'no json', 'time_ms', '1'],
    ['event', '{"name":"later"}', 'time_ms', '1'],
    ['event', JSON.stringify(occupied('a')), 'time_ms', 'x'],
  ])
    await redis.command('XADD', raw, '*', ...fields);
  await queue.add('1', [occupied('a')], 1);
  expect(await queue.claim('1', HOOKS)).toEqual({ kind: 'held' });
  expect(await queue.step('1', HOOKS, route)).toMatchObject({ moved: 5 });
  expect(await redis.command('XLEN', raw)).toBe(0);
  expect(await redis.command('XLEN', deliveries('a'))).toBe(1);
  expect(Number(await redis.command('PTTL', deliveries('a')))).toBeGreaterThan(0);
  await redis.command('XADD', deliveries('a'), '*', 'event', '{"name":"later"}', 'time_ms', '1');
  expect(await queue.read('1', 'a', undefined, 10)).toHaveLength(1);
  expect(await redis.command('XLEN', deliveries('a'))).toBe(1);
  close();
});

test('Redis away: everybody says so, nobody waits, nothing throws', async () => {
  const redis = await startRedis();
  const { queue, close } = await redisQueue(redis.url, 'one');
  await redis[Symbol.asyncDispose]();
  expect(await queue.add('1', [occupied('a')], 1)).toEqual({ dropped: 1 });
  expect(await queue.claim('1', HOOKS)).toEqual({ kind: 'away' });
  expect(await queue.step('1', HOOKS, route)).toEqual({ kind: 'away' });
  expect(await queue.read('1', 'a', undefined, 1)).toBe('away');
  expect(await queue.remove('1', 'a', ['1-1'])).toBe(false);
  expect(await queue.release('1', HOOKS)).toBe('away');
  await queue.abandon('1');
  expect(await queue.sweepTurn(1)).toBe(false);
  close();
});
