import { afterEach, describe, expect, test } from 'vitest';
import { BEAT_MS, HOLD_MS, LEASE_MS } from '#relay/occupancy/occupancy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { startSentinel } from '#test/parts/redis-topologies.ts';
import { startTcpProxy } from '#test/parts/tcp-proxy.ts';
import { ALL_WEBHOOKS, clusterWorld, memoryWorld, QUICK, redisReplica, streamed } from './worlds.ts';
import type { Replica } from './replica.ts';

const ROOM = 'presence-room';
const APP = '1';

const stack: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of stack.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});
function use<T extends AsyncDisposable>(one: T): T {
  stack.push(one);
  return one;
}
const at = async (url: string, name: string): Promise<Replica> => use(await redisReplica(url, name));
const events = (server: RedisServer): Promise<string[]> => streamed(server.command.bind(server), APP);
/** Asks until the answer is this. */
const becomes = (ask: () => unknown, wanted: unknown, timeout = 10_000): Promise<unknown> =>
  eventually(async () => expect(await ask()).toEqual(wanted) ?? true, { timeout });

describe('a replica dies', () => {
  test.each([
    ['memory', () => Promise.resolve(memoryWorld())],
    ['Redis Cluster', () => clusterWorld()],
  ])('over %s its numbers and members go, and those who watch are told', async (_name, start) => {
    const world = use(await start());
    const [one, two] = [use(await world.replica('a')), use(await world.replica('b'))];
    const watcher = two.connect(APP);
    await two.joinAs(watcher, ROOM, 'watcher');
    await one.joinAs(one.connect(APP), ROOM, 'ann');
    for (let n = 0; n < 1_200; n += 1) await one.join(one.connect('2'), `channel-${n}`);
    await becomes(() => watcher.members(ROOM), ['ann', 'watcher']);
    await eventually(async () => (await two.state.occupancy.connections('2')).value === 1_200);
    one.kill();
    await becomes(() => watcher.members(ROOM), ['watcher']);
    await becomes(() => two.members(APP, ROOM), ['watcher']);
    await becomes(() => two.channels('2'), {});
    expect(await two.state.occupancy.connections('2')).toEqual({ value: 0, reached: true });
    await eventually(async () => (await world.webhooks(APP)).includes(`member_removed ${ROOM} ann`));
    await eventually(
      async () => (await world.webhooks('2')).filter((line) => line.startsWith('channel_vacated')).length === 1_200,
    );
    expect(two.faults).toEqual([]);
  });

  test('with the times of a deployment: within 10 s', async () => {
    const server = use(await startRedis());
    const timing = { beatMs: BEAT_MS, leaseMs: LEASE_MS, holdMs: HOLD_MS };
    const one = use(await redisReplica(server.url, 'a', ALL_WEBHOOKS, timing));
    const two = use(await redisReplica(server.url, 'b', ALL_WEBHOOKS, timing));
    const watcher = two.connect(APP);
    await two.joinAs(watcher, ROOM, 'watcher');
    await one.joinAs(one.connect(APP), ROOM, 'ann');
    await becomes(() => watcher.members(ROOM), ['ann', 'watcher']);
    one.kill();
    await becomes(() => watcher.members(ROOM), ['watcher'], 10_000);
    expect((await two.state.occupancy.connections(APP)).value).toBe(1);
  });

  test('it was only cut off: when it comes back its members come back, and its clients know everybody', async () => {
    const server = use(await startRedis());
    const proxy = use(await startTcpProxy({ port: server.port }));
    const [one, two] = [await at(`redis://127.0.0.1:${proxy.port}`, 'a'), await at(server.url, 'b')];
    const [ann, watcher] = [one.connect(APP), two.connect(APP)];
    await two.joinAs(watcher, ROOM, 'watcher');
    await one.joinAs(ann, ROOM, 'ann');
    await becomes(() => watcher.members(ROOM), ['ann', 'watcher']);
    proxy.hold();
    await becomes(() => watcher.members(ROOM), ['watcher']);
    await two.joinAs(two.connect(APP), ROOM, 'bob');
    // Written while it is taken for dead: must not count when it arrives late.
    await one.join(ann, 'late');
    proxy.pass();
    await becomes(() => watcher.members(ROOM), ['ann', 'bob', 'watcher']);
    await becomes(() => ann.members(ROOM), ['ann', 'bob', 'watcher']);
    await becomes(() => two.channels(APP), { [ROOM]: 3, late: 1 });
    one.disconnect(ann);
    await becomes(() => two.channels(APP), { [ROOM]: 2 });
    await becomes(() => watcher.members(ROOM), ['bob', 'watcher']);
    const told = (await events(server)).filter((line) => line.endsWith(' ann'));
    expect(told.slice(0, 3)).toEqual([
      `member_added ${ROOM} ann`,
      `member_removed ${ROOM} ann`,
      `member_added ${ROOM} ann`,
    ]);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('everybody was cut off: nobody takes the others for dead', async () => {
    const server = use(await startRedis());
    const proxy = use(await startTcpProxy({ port: server.port }));
    const url = `redis://127.0.0.1:${proxy.port}`;
    const [one, two] = [await at(url, 'a'), await at(url, 'b')];
    const [ann, bob] = [one.connect(APP), two.connect(APP)];
    await one.joinAs(ann, ROOM, 'ann');
    await two.joinAs(bob, ROOM, 'bob');
    await becomes(() => ann.members(ROOM), ['ann', 'bob']);
    proxy.hold();
    const silence = async (): Promise<boolean> => {
      const spoke = Number(await server.command('ZSCORE', '{rly:relays}:beats', 'a'));
      const [seconds] = (await server.command('TIME')) as [string];
      return Number(seconds) * 1000 - spoke > 2 * QUICK.leaseMs;
    };
    await eventually(silence);
    proxy.pass();
    await eventually(async () => !(await silence()));
    await two.joinAs(two.connect(APP), ROOM, 'carl');
    await becomes(() => ann.members(ROOM), ['ann', 'bob', 'carl']);
    expect((await events(server)).filter((line) => line.startsWith('member_removed'))).toEqual([]);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });
});

describe('Redis loses what it had', () => {
  const settled = async (server: RedisServer): Promise<{ one: Replica; two: Replica }> => {
    const [one, two] = [await at(server.url, 'a'), await at(server.url, 'b')];
    for (const [replica, user] of [
      [one, 'ann'],
      [two, 'bob'],
    ] as const) {
      const socket = replica.connect(APP);
      await replica.join(socket, 'orders');
      await replica.joinAs(socket, ROOM, user);
    }
    await becomes(() => two.channels(APP), { orders: 2, [ROOM]: 2 });
    return { one, two };
  };

  test('FLUSHALL: all is told again, nobody goes and nothing is announced a second time', async () => {
    const server = use(await startRedis());
    const { one, two } = await settled(server);
    const watcher = one.connect(APP);
    await one.joinAs(watcher, ROOM, 'watcher');
    await server.command('FLUSHALL');
    await becomes(() => two.members(APP, ROOM), ['ann', 'bob', 'watcher']);
    await becomes(() => one.channels(APP), { orders: 2, [ROOM]: 3 });
    await eventually(async () => (await server.command('EXISTS', `{rly:app:${APP}}:young`)) === 0);
    const late = two.connect(APP);
    await two.joinAs(late, ROOM, 'late');
    await becomes(() => watcher.members(ROOM), ['ann', 'bob', 'late', 'watcher']);
    two.disconnect(late);
    await becomes(() => watcher.members(ROOM), ['ann', 'bob', 'watcher']);
    await becomes(() => events(server), [`member_added ${ROOM} late`, `member_removed ${ROOM} late`]);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('who dies together with it is missed when everybody has had the time to tell again', async () => {
    const server = use(await startRedis());
    const { one, two } = await settled(server);
    const watcher = one.connect(APP);
    await one.joinAs(watcher, ROOM, 'watcher');
    await becomes(() => watcher.members(ROOM), ['ann', 'bob', 'watcher']);
    two.kill();
    await server.command('FLUSHALL');
    await becomes(() => watcher.members(ROOM), ['ann', 'watcher']);
    expect(one.faults).toEqual([]);
  });

  test('a restart without data, and what changed meanwhile: told afterwards', async () => {
    const server = use(await startRedis());
    const { one, two } = await settled(server);
    const [stays, goes] = [two.connect(APP), two.connect(APP)];
    await two.joinAs(stays, ROOM, 'stays');
    await two.joinAs(goes, ROOM, 'goes');
    await two.join(goes, 'news');
    await becomes(() => one.members(APP, ROOM), ['ann', 'bob', 'goes', 'stays']);
    await server.kill9();
    expect(await one.state.occupancy.subscriptions(APP, 'orders')).toEqual({ value: 1, reached: false });
    two.disconnect(goes);
    const alone = one.connect(APP);
    expect(await one.joinAs(alone, ROOM, 'alone')).toBe(true);
    expect(alone.members(ROOM)).toContain('alone');
    await server.start();
    await becomes(() => one.members(APP, ROOM), ['alone', 'ann', 'bob', 'stays']);
    for (const socket of [stays, alone]) {
      await becomes(() => socket.members(ROOM), ['alone', 'ann', 'bob', 'stays']);
    }
    await becomes(() => two.channels(APP), { orders: 2, [ROOM]: 4 });
    await becomes(
      async () => (await events(server)).toSorted(),
      ['channel_vacated news', `member_added ${ROOM} alone`, `member_removed ${ROOM} goes`],
    );
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('a restart, or a failover, with an older state: what was lost is told again', async () => {
    const server = use(await startRedis());
    const { one, two } = await settled(server);
    const goes = two.connect(APP);
    await two.joinAs(goes, ROOM, 'goes');
    await becomes(() => one.members(APP, ROOM), ['ann', 'bob', 'goes']);
    await server.command('SAVE');
    // All of this is the lost tail.
    two.disconnect(goes);
    await one.join(one.connect(APP), 'news');
    await one.joinAs(one.connect(APP), ROOM, 'new');
    await becomes(() => two.channels(APP), { orders: 2, news: 1, [ROOM]: 3 });
    await becomes(() => two.members(APP, ROOM), ['ann', 'bob', 'new']);
    await server.kill9();
    await server.start();
    await becomes(() => two.channels(APP), { orders: 2, news: 1, [ROOM]: 3 });
    await becomes(() => two.members(APP, ROOM), ['ann', 'bob', 'new']);
    await eventually(async () => (await events(server)).includes(`member_removed ${ROOM} goes`));
    expect((await events(server)).filter((line) => line.startsWith('channel_occupied')).toSorted()).toEqual([
      'channel_occupied news',
      'channel_occupied orders',
      `channel_occupied ${ROOM}`,
    ]);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('a failover to a replica that had not got everything', async () => {
    const set = use(await startSentinel());
    const url = `redis+sentinel://${set.sentinels.map(({ host, port }) => `${host}:${port}`).join(',')}/${set.name}`;
    const [one, two] = [await at(url, 'a'), await at(url, 'b')];
    const [ann, bob] = [one.connect(APP), two.connect(APP)];
    await one.joinAs(ann, ROOM, 'ann');
    await two.joinAs(bob, ROOM, 'bob');
    await becomes(() => ann.members(ROOM), ['ann', 'bob']);
    // What is written from now on goes to the primary alone.
    process.kill(set.replica.pid ?? 0, 'SIGSTOP');
    await set.primary.command('CLIENT', 'KILL', 'TYPE', 'replica');
    await one.joinAs(one.connect(APP), ROOM, 'lost');
    two.disconnect(bob);
    await becomes(() => ann.members(ROOM), ['ann', 'lost']);
    await set.primary.kill9();
    process.kill(set.replica.pid ?? 0, 'SIGCONT');
    await eventually(async () => (await set.primaryPort()) === set.replica.port, { timeout: 30_000 });
    await two.joinAs(two.connect(APP), ROOM, 'new');
    for (const replica of [one, two]) {
      await becomes(() => replica.members(APP, ROOM), ['ann', 'lost', 'new'], 20_000);
      await becomes(() => replica.channels(APP), { [ROOM]: 3 });
    }
    await becomes(() => ann.members(ROOM), ['ann', 'lost', 'new']);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('a quota in an outage goes by what is known', async () => {
    const server = use(await startRedis());
    const [one, two] = [await at(server.url, 'a'), await at(server.url, 'b')];
    expect(await two.admit(APP, 3)).toBeDefined();
    expect(await one.admit(APP, 3)).toBeDefined();
    await server.kill9();
    expect(await one.admit(APP, 3)).toBeDefined();
    expect(await one.admit(APP, 3)).toBeUndefined();
    await server.start();
    await eventually(async () => (await two.state.occupancy.connections(APP)).value === 3);
    expect(await two.admit(APP, 3)).toBeUndefined();
  });
});

describe('messages are lost', () => {
  test('changes that nobody heard are found by a look at the version', async () => {
    const world = memoryWorld();
    const [one, two] = [use(await world.replica('a')), use(await world.replica('b'))];
    const watcher = two.connect(APP);
    await two.joinAs(watcher, ROOM, 'watcher');
    const ann = one.connect(APP);
    await one.joinAs(ann, ROOM, 'ann');
    await becomes(() => watcher.members(ROOM), ['ann', 'watcher']);
    world.wire.cut();
    one.disconnect(ann);
    await one.joinAs(one.connect(APP), ROOM, 'bob');
    await becomes(() => watcher.members(ROOM), ['bob', 'watcher']);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('the subscriber’s connection is cut again and again while members come and go', async () => {
    const server = use(await startRedis());
    const [one, two] = [await at(server.url, 'a'), await at(server.url, 'b')];
    const watcher = two.connect(APP);
    await two.joinAs(watcher, ROOM, 'watcher');
    for (let n = 0; n < 20; n += 1) {
      const socket = one.connect(APP);
      await one.joinAs(socket, ROOM, `user-${n}`);
      if (n % 4 === 0) await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      if (n % 2 === 0) one.disconnect(socket);
    }
    const left = Array.from({ length: 10 }, (_, n) => `user-${2 * n + 1}`);
    await becomes(() => watcher.members(ROOM), [...left, 'watcher'].toSorted());
    expect([one.faults, two.faults]).toEqual([[], []]);
  });
});
