import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MemoryOccupancy, MemoryOccupancyStore } from '#relay/occupancy/memory.ts';
import type { Occupancy } from '#relay/occupancy/occupancy.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { RedisOccupancy } from '#relay/redis/occupancy.ts';
import { SocketRegistry } from '#relay/server/socket-registry.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';

const log = pino({ level: 'silent' });
const keys = appKeys();

type FakeSocket = { readonly appId: string };
/** A replica with sockets that exist only as entries of its registry. */
type Replica = AsyncDisposable & {
  readonly occupancy: Occupancy;
  connect(appId: string): FakeSocket;
  join(socket: FakeSocket, channel: string): void;
  leave(socket: FakeSocket, channel: string): void;
  disconnect(socket: FakeSocket): void;
  /** As `kill -9`: no goodbye. */
  kill(): void;
};

function replicaOf(
  registry: SocketRegistry<FakeSocket>,
  occupancy: Occupancy,
  kill: () => void,
  dispose: () => PromiseLike<void>,
): Replica {
  return {
    occupancy,
    connect: (appId) => {
      const socket = { appId };
      registry.add(socket);
      occupancy.changed(appId, undefined);
      return socket;
    },
    join: (socket, channel) => {
      registry.join(socket, channel);
      occupancy.changed(socket.appId, channel);
    },
    leave: (socket, channel) => {
      registry.leave(socket, channel);
      occupancy.changed(socket.appId, channel);
    },
    disconnect: (socket) => {
      registry.remove(socket);
      occupancy.changed(socket.appId, undefined);
    },
    kill,
    [Symbol.asyncDispose]: async () => dispose(),
  };
}

function memoryReplica(store: MemoryOccupancyStore): Promise<Replica> {
  const registry = new SocketRegistry<FakeSocket>();
  const occupancy = new MemoryOccupancy(store, registry);
  return Promise.resolve(
    replicaOf(
      registry,
      occupancy,
      () => store.remove(registry),
      () => occupancy[Symbol.asyncDispose](),
    ),
  );
}

async function redisReplica(url: string, name: string): Promise<Replica> {
  const client = connectRedis({ url, log, name });
  await whenReady(client, AbortSignal.timeout(30_000));
  const registry = new SocketRegistry<FakeSocket>();
  const now = (): number => performance.now();
  const occupancy = new RedisOccupancy({ client, keys, replica: name, local: registry, now });
  return replicaOf(
    registry,
    occupancy,
    () => client.disconnect(),
    async () => {
      await occupancy[Symbol.asyncDispose]();
      client.disconnect();
    },
  );
}

type World = AsyncDisposable & { replica(name: string): Promise<Replica> };
const worlds: readonly (readonly [name: string, start: () => Promise<World>])[] = [
  [
    'memory',
    () => {
      const store = new MemoryOccupancyStore();
      return Promise.resolve({ replica: () => memoryReplica(store), [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  ],
  [
    'one Redis',
    async () => {
      const server = await startRedis();
      return {
        replica: (name) => redisReplica(server.url, name),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const cluster = await startCluster();
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      return {
        replica: (name) => redisReplica(url, name),
        [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
      };
    },
  ],
];

const elsewhere = async (replica: Replica, appId: string): Promise<Record<string, number>> =>
  Object.fromEntries((await replica.occupancy.channelsElsewhere(appId)).value);

describe.each(worlds)('counts over %s', (_name, start) => {
  let world: World;
  let app = 0;
  const alive: Replica[] = [];
  const replica = async (name: string): Promise<Replica> => {
    const started = await world.replica(name);
    alive.push(started);
    return started;
  };
  beforeAll(async () => {
    world = await start();
  });
  afterEach(async () => {
    await Promise.all(alive.splice(0).map((one) => one[Symbol.asyncDispose]()));
    app += 1;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test('each replica sees what the others hold, and never its own', async () => {
    const [one, two, three] = await Promise.all(['a', 'b', 'c'].map(replica));
    if (one === undefined || two === undefined || three === undefined) throw new Error('no replicas');
    const appId = `1${app}`;
    for (const at of [one, one, two]) at.join(at.connect(appId), 'orders');
    two.join(two.connect(appId), 'news');
    two.join(two.connect(`9${app}`), 'other-app');
    await eventually(async () => expect(await elsewhere(three, appId)).toEqual({ orders: 3, news: 1 }) ?? true);
    expect(await elsewhere(one, appId)).toEqual({ orders: 1, news: 1 });
    expect(await one.occupancy.channelElsewhere(appId, 'orders')).toEqual({ value: 1, reached: true });
    expect(await three.occupancy.channelElsewhere(appId, 'nothing')).toEqual({ value: 0, reached: true });
  });

  test('leaving and going away count down to nothing', async () => {
    const [one, two] = await Promise.all(['a', 'b'].map(replica));
    if (one === undefined || two === undefined) throw new Error('no replicas');
    const appId = `1${app}`;
    const [first, second] = [one.connect(appId), one.connect(appId)];
    for (const socket of [first, second]) one.join(socket, 'orders');
    await eventually(async () => (await elsewhere(two, appId))['orders'] === 2);
    one.leave(first, 'orders');
    await eventually(async () => (await elsewhere(two, appId))['orders'] === 1);
    one.leave(second, 'orders');
    one.disconnect(first);
    one.disconnect(second);
    await eventually(async () => expect(await elsewhere(two, appId)).toEqual({}) ?? true);
  });

  test('a quota is exact over replicas that connect at the same time', async () => {
    const replicas = await Promise.all(['a', 'b', 'c'].map(replica));
    const appId = `1${app}`;
    const attempts = Array.from({ length: 30 }, async (_, n) => {
      const at = replicas[n % 3];
      if (at === undefined) return false;
      const socket = at.connect(appId);
      const admitted = await at.occupancy.admit(appId, 10);
      if (!admitted) at.disconnect(socket);
      return admitted;
    });
    const admitted = (await Promise.all(attempts)).filter(Boolean).length;
    // Sockets that are about to be refused are counted while they wait, so a rush may admit fewer, and never more.
    expect(admitted).toBeLessThanOrEqual(10);
    expect(admitted).toBeGreaterThan(0);
  });
});

describe('counts and faults', () => {
  test('a replica that is killed is not counted after 10 s', async () => {
    await using server = await startRedis();
    const one = await redisReplica(server.url, 'a');
    await using two = await redisReplica(server.url, 'b');
    one.join(one.connect('1'), 'orders');
    await eventually(async () => (await elsewhere(two, '1'))['orders'] === 1);
    one.kill();
    await eventually(async () => Object.keys(await elsewhere(two, '1')).length === 0, { timeout: 10_000 });
  });

  test('FLUSHALL, and a Redis that starts again empty: told anew by themselves', async () => {
    await using server: RedisServer = await startRedis();
    await using one = await redisReplica(server.url, 'a');
    await using two = await redisReplica(server.url, 'b');
    const socket = one.connect('1');
    one.join(socket, 'orders');
    one.join(socket, 'news');
    const seen = (): Promise<unknown> =>
      eventually(async () => expect(await elsewhere(two, '1')).toEqual({ orders: 1, news: 1 }) ?? true, {
        timeout: 8_000,
      });
    await seen();
    await server.command('FLUSHALL');
    await seen();
    await server.kill9();
    expect(await two.occupancy.channelElsewhere('1', 'orders')).toEqual({ value: 0, reached: false });
    expect(await one.occupancy.admit('1', 1)).toBe(true);
    expect(await one.occupancy.admit('1', 0)).toBe(false);
    await server.start();
    await seen();
  });

  test('a channel that was left while Redis did not answer is not counted for ever', async () => {
    await using server = await startRedis();
    await using one = await redisReplica(server.url, 'a');
    await using two = await redisReplica(server.url, 'b');
    const socket = one.connect('1');
    one.join(socket, 'orders');
    one.join(socket, 'news');
    await eventually(async () => expect(await elsewhere(two, '1')).toEqual({ orders: 1, news: 1 }) ?? true);
    await server.command('CLIENT', 'PAUSE', '2500', 'ALL');
    expect(await one.occupancy.channelElsewhere('1', 'orders')).toEqual({ value: 0, reached: false });
    // This one is the probe that a suspect connection gets, so what follows is not sent at all.
    const probe = one.occupancy.channelElsewhere('1', 'orders');
    one.leave(socket, 'orders');
    await probe;
    await eventually(async () => expect(await elsewhere(two, '1')).toEqual({ news: 1 }) ?? true, { timeout: 8_000 });
  });
});
