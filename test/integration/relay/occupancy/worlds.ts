import { pino } from 'pino';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import type { Bus, BusListener } from '#relay/bus/bus.ts';
import { MemoryStores } from '#relay/occupancy/memory-store.ts';
import type { OccupancyStore, Rules } from '#relay/occupancy/store.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { RedisBus } from '#relay/redis/bus.ts';
import { connectRedis, whenReady, type RedisConnection } from '#relay/redis/connection.ts';
import { RedisOccupancyStore } from '#relay/redis/occupancy-store.ts';
import { webhookEvent, type WebhookEvent } from '#relay/webhooks/webhook-sink.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { Replica } from './replica.ts';

export type Timing = { readonly holdMs: number; readonly leaseMs: number; readonly beatMs: number };
export const QUICK: Timing = { holdMs: 150, leaseMs: 1_000, beatMs: 100 };

/** Everything announced, and nobody wants a number. */
export const ALL_WEBHOOKS: Rules = {
  webhooks: new Set(['channel_occupied', 'channel_vacated', 'member_added', 'member_removed']),
  subscriptionCounts: false,
};

export type World = AsyncDisposable & {
  replica(name: string, rules?: Rules): Promise<Replica>;
  /** A replica's part of the store alone. */
  store(name: string): Promise<OccupancyStore>;
  /** Forgets everything, as FLUSHALL. */
  lose(): Promise<void>;
  /** Webhook events of the app, oldest first, as `{name} {channel} {user}`. */
  webhooks(appId: string): Promise<string[]>;
};

export function memoryWorld(
  timing: Timing = QUICK,
): World & { readonly stores: MemoryStores; readonly wire: MemoryWire } {
  const wire = new MemoryWire();
  const events = new Map<string, string[]>();
  const stores = new MemoryStores({
    wire,
    now: () => performance.now(),
    webhooks: (appId, event) => void events.set(appId, [...(events.get(appId) ?? []), described(event)]),
    ...timing,
  });
  return {
    stores,
    wire,
    replica: (name, rules = ALL_WEBHOOKS) => {
      let killed = false;
      const store = stores.store(name);
      const alive = <T>(ask: () => Promise<T>): Promise<T | undefined> => (killed ? Promise.resolve(undefined) : ask());
      const mortal: OccupancyStore = {
        ...store,
        beat: () => alive(() => store.beat()),
        apply: (appId, write) => alive(() => store.apply(appId, write)),
        own: (appId) => alive(() => store.own(appId)),
        marks: (appIds) => alive(() => store.marks(appIds)),
        leave: () => (killed ? Promise.resolve() : store.leave()),
      };
      const bus = (listener: BusListener): Bus => new MemoryBus(wire, name, listener);
      const parts = { bus, store: mortal, cut: () => void (killed = true), rules: () => rules, ...timing };
      return Promise.resolve(new Replica(name, parts));
    },
    store: (name) => Promise.resolve(stores.store(name)),
    lose: () => {
      stores.lose();
      events.clear();
      return Promise.resolve();
    },
    webhooks: (appId) => Promise.resolve(events.get(appId) ?? []),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export async function redisReplica(
  url: string,
  name: string,
  rules: Rules = ALL_WEBHOOKS,
  timing: Timing = QUICK,
): Promise<Replica> {
  const log = pino({ level: 'silent' });
  const client = connectRedis({ url, log, name });
  const subscriber = connectRedis({ url, log, name: `${name}-subscriber`, sharded: true });
  await Promise.all([client, subscriber].map((one) => whenReady(one, AbortSignal.timeout(30_000))));
  const keys = appKeys();
  const now = (): number => performance.now();
  return new Replica(name, {
    bus: (listener) => new RedisBus({ publisher: client, subscriber, keys, origin: name, listener, log, now }),
    store: new RedisOccupancyStore({ client, keys, replica: name, now, ...timing }),
    cut: () => {
      client.disconnect();
      subscriber.disconnect();
    },
    rules: () => rules,
    ...timing,
  });
}

/** Entries of the stream, as `World.webhooks` says them. */
export function described({ name, channel, ...rest }: WebhookEvent): string {
  const user = 'user_id' in rest ? [rest.user_id] : [];
  const count = 'subscription_count' in rest ? [String(rest.subscription_count)] : [];
  return [name, channel, ...user, ...count].join(' ');
}

/** Webhook events in the stream of an app. */
export async function streamed(
  command: (name: string, ...args: string[]) => Promise<unknown>,
  appId: string,
): Promise<string[]> {
  const entries = (await command('XRANGE', `{rly:app:${appId}}:webhooks`, '-', '+')) as [string, string[]][];
  return entries.map(([, fields]) => described(webhookEvent.parse(JSON.parse(fields[1] ?? '{}'))));
}

type OpenStore = { readonly store: OccupancyStore; readonly client: RedisConnection };
const close = ({ client }: OpenStore): void => client.disconnect();

async function redisStore(url: string, name: string, timing: Timing): Promise<OpenStore> {
  const client = connectRedis({ url, log: pino({ level: 'silent' }), name });
  await whenReady(client, AbortSignal.timeout(30_000));
  const now = (): number => performance.now();
  return { client, store: new RedisOccupancyStore({ client, keys: appKeys(), replica: name, now, ...timing }) };
}

export async function redisWorld(timing: Timing = QUICK): Promise<World> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis({ acl: await documentedUsers() }));
  return {
    replica: (name, rules) => redisReplica(withUser(server.url, 'relay'), name, rules, timing),
    store: async (name) => stack.adopt(await redisStore(withUser(server.url, 'relay'), name, timing), close).store,
    lose: async () => void (await server.command('FLUSHALL')),
    webhooks: (appId) => streamed(server.command.bind(server), appId),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function clusterWorld(timing: Timing = QUICK): Promise<World> {
  const stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
  return {
    replica: (name, rules) => redisReplica(url, name, rules, timing),
    webhooks: async (appId) => {
      const node = await cluster.ownerOf(`{rly:app:${appId}}`);
      return streamed(node.command.bind(node), appId);
    },
    store: async (name) => stack.adopt(await redisStore(url, name, timing), close).store,
    lose: async () => void (await Promise.all(cluster.nodes.map((node) => node.command('FLUSHALL')))),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export const worlds: readonly (readonly [name: string, start: () => Promise<World>])[] = [
  ['memory', () => Promise.resolve(memoryWorld())],
  ['one Redis, as the documented user', () => redisWorld()],
  ['Redis Cluster', () => clusterWorld()],
];

/** Two or more replicas of a world, named after `prefix`. */
export async function startReplicas(
  world: World,
  prefix: string,
  count: number,
  rules?: Rules,
): Promise<[Replica, Replica, ...Replica[]]> {
  const [one, two, ...more] = await Promise.all(
    Array.from({ length: count }, (_, n) => world.replica(`${prefix}-${n}`, rules)),
  );
  if (one === undefined || two === undefined) throw new Error('no replicas');
  return [one, two, ...more];
}
