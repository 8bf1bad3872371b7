import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { STORE_ORIGIN, type Bus, type BusListener, type EventMessage } from '#relay/bus/bus.ts';
import { encodeEnvelope } from '#relay/bus/envelope.ts';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import { eventTail } from '#relay/protocol/server-message.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { RedisBus } from '#relay/redis/bus.ts';
import { connectRedis, whenReady, type RedisConnection } from '#relay/redis/connection.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startCluster, startSentinel } from '#test/parts/redis-topologies.ts';
import { redisCommand, startRedis, type RedisServer } from '#test/parts/redis.ts';
import { startTcpProxy } from '#test/parts/tcp-proxy.ts';

// The contract of the bus (relay/bus/bus.ts), in memory and over Redis. Long, because it is one port with all that may go wrong with the Redis
// behind it.

const log = pino({ level: 'silent' });
const now = (): number => performance.now();
const message = (text: string, exceptSocketId?: string): EventMessage => ({
  kind: 'event',
  exceptSocketId,
  tail: Buffer.from(eventTail('x', text)),
});
const keys = appKeys();
const never = AbortSignal.timeout(60_000);

/** One replica's end of a bus, and what arrived there. */
type End = AsyncDisposable & { readonly bus: Bus; readonly received: string[] };
type Transport = AsyncDisposable & {
  end(origin: string): Promise<End>;
  /** Puts bytes onto a channel that no adapter made. */
  inject(appId: string, channel: string, bytes: Buffer): Promise<void>;
};

function recorder(): { readonly received: string[]; readonly listener: BusListener } {
  const received: string[] = [];
  return {
    received,
    listener: (appId, channel, arrived) => {
      if (arrived.kind === 'signal') {
        received.push(`${appId}/${channel}: signal ${arrived.text}`);
        return;
      }
      const { tail, exceptSocketId } = arrived;
      const { data } = JSON.parse(`{${tail.toString()}`) as { data: string };
      received.push(`${appId}/${channel}: ${data}${exceptSocketId === undefined ? '' : ` but ${exceptSocketId}`}`);
    },
  };
}

function memoryTransport(): Promise<Transport> {
  const wire = new MemoryWire();
  return Promise.resolve({
    end: (origin) => {
      const { received, listener } = recorder();
      const bus = new MemoryBus(wire, origin, listener);
      return Promise.resolve({ bus, received, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() });
    },
    inject: (appId, channel, bytes) => Promise.resolve(wire.carry(appId, channel, bytes)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

async function redisEnd(url: string, origin: string, lingerMs = 50, onReconnected = () => {}): Promise<End> {
  const publisher = connectRedis({ url, log, name: 'bus' });
  const subscriber = connectRedis({ url, log, name: 'bus-subscriber', sharded: true });
  await Promise.all([whenReady(publisher, never), whenReady(subscriber, never)]);
  subscriber.on('ready', onReconnected);
  const { received, listener } = recorder();
  const bus = new RedisBus({ publisher, subscriber, keys, origin, listener, log, now, lingerMs });
  return {
    bus,
    received,
    [Symbol.asyncDispose]: async () => {
      await bus[Symbol.asyncDispose]();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

function redisTransport(url: string, stop: () => PromiseLike<void>): Transport {
  let injector: RedisConnection | undefined;
  return {
    end: (origin) => redisEnd(url, origin),
    inject: async (appId, channel, bytes) => {
      injector ??= connectRedis({ url, log, name: 'injector' });
      await whenReady(injector, never);
      await injector.spublish(keys.bus(appId, channel), bytes);
    },
    [Symbol.asyncDispose]: async () => {
      injector?.disconnect();
      await stop();
    },
  };
}

const transports: readonly (readonly [name: string, start: () => Promise<Transport>])[] = [
  ['memory', memoryTransport],
  [
    'one Redis',
    async () => {
      const server = await startRedis();
      return redisTransport(server.url, () => server[Symbol.asyncDispose]());
    },
  ],
  [
    'Redis Sentinel',
    async () => {
      const group = await startSentinel();
      const hosts = group.sentinels.map(({ host, port }) => `${host}:${port}`).join(',');
      return redisTransport(`redis+sentinel://${hosts}/${group.name}`, () => group[Symbol.asyncDispose]());
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const cluster = await startCluster();
      const hosts = cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',');
      return redisTransport(`redis+cluster://${hosts}`, () => cluster[Symbol.asyncDispose]());
    },
  ],
];

describe.each(transports)('the bus over %s', (_name, start) => {
  let transport: Transport;
  let one: End;
  let two: End;
  beforeAll(async () => {
    transport = await start();
  });
  afterAll(async () => {
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
    await transport[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await one?.[Symbol.asyncDispose]();
    await two?.[Symbol.asyncDispose]();
    [one, two] = await Promise.all([transport.end('relay-1:a'), transport.end('relay-2:b')]);
  });
  /** Everything that was published to the channel before has arrived or never will: one publisher's messages stay in order. */
  const arrived = async (from: End, at: End, appId: string, channel: string): Promise<void> => {
    const text = `marker ${Math.random()}`;
    await from.bus.publish(appId, [channel], message(text));
    await eventually(() => at.received.some((line) => line.endsWith(text)));
    at.received.splice(0, at.received.length, ...at.received.filter((line) => !line.includes('marker')));
  };

  test('reaches others, in order, and never its own', async () => {
    expect(await one.bus.subscribe('1', 'orders')).toBe('subscribed');
    expect(await two.bus.subscribe('1', 'orders')).toBe('subscribed');
    for (const text of ['a', 'b', 'c'])
      expect(await one.bus.publish('1', ['orders'], message(text))).toBe('everywhere');
    await arrived(one, two, '1', 'orders');
    await arrived(two, one, '1', 'orders');
    expect(two.received).toEqual(['1/orders: a', '1/orders: b', '1/orders: c']);
    expect(one.received).toEqual([]);
  });

  test('a multi-channel message arrives on each channel that is subscribed to, with who is left out', async () => {
    await Promise.all([two.bus.subscribe('1', 'a'), two.bus.subscribe('1', 'b')]);
    await one.bus.publish('1', ['a', 'b', 'c'], message('x', '1.2'));
    await arrived(one, two, '1', 'b');
    expect(two.received.toSorted()).toEqual(['1/a: x but 1.2', '1/b: x but 1.2']);
  });

  test('signals travel beside events, and what the store says goes to everybody', async () => {
    await Promise.all([one.bus.subscribe('1', 'c'), two.bus.subscribe('1', 'c')]);
    await one.bus.publish('1', ['c'], { kind: 'signal', text: '{"type":"x"}' });
    await arrived(one, two, '1', 'c');
    expect([one.received, two.received]).toEqual([[], ['1/c: signal {"type":"x"}']]);
    await transport.inject('1', 'c', encodeEnvelope(STORE_ORIGIN, { kind: 'signal', text: '{"type":"y"}' }));
    await eventually(() => one.received.includes('1/c: signal {"type":"y"}'));
    await eventually(() => two.received.includes('1/c: signal {"type":"y"}'));
  });

  test('apps are kept apart, whatever their ids', async () => {
    await Promise.all([two.bus.subscribe('1', 'c'), two.bus.subscribe('2', 'c'), two.bus.subscribe('{1}:x', 'c')]);
    await one.bus.publish('2', ['c'], message('x'));
    await one.bus.publish('{1}:x', ['c'], message('y'));
    await arrived(one, two, '{1}:x', 'c');
    await arrived(one, two, '2', 'c');
    expect(two.received.toSorted()).toEqual(['2/c: x', '{1}:x/c: y']);
  });

  test('counts: interest ends with the last unsubscribe', async () => {
    await two.bus.subscribe('1', 'keep');
    for (let n = 0; n < 3; n++) await two.bus.subscribe('1', 'c');
    two.bus.unsubscribe('1', 'c');
    two.bus.unsubscribe('1', 'c');
    await one.bus.publish('1', ['c'], message('still'));
    await eventually(() => two.received.length === 1);
    two.bus.unsubscribe('1', 'c');
    two.bus.unsubscribe('1', 'c');
    await one.bus.publish('1', ['c'], message('gone'));
    await arrived(one, two, '1', 'keep');
    expect(two.received).toEqual(['1/c: still']);
    expect(await two.bus.subscribe('1', 'c')).toBe('subscribed');
    await one.bus.publish('1', ['c'], message('again'));
    await eventually(() => two.received.includes('1/c: again'));
  });

  test('a thousand channels at once', async () => {
    const channels = Array.from({ length: 1_000 }, (_, n) => `c${n}`);
    const outcomes = await Promise.all(channels.map((channel) => two.bus.subscribe('1', channel)));
    expect(new Set(outcomes)).toEqual(new Set(['subscribed']));
    for (let at = 0; at < 1_000; at += 100) await one.bus.publish('1', channels.slice(at, at + 100), message('x'));
    await eventually(() => two.received.length === 1_000);
  });

  test('what is no envelope is refused, and the next message arrives', async () => {
    await two.bus.subscribe('1', 'c');
    await transport.inject('1', 'c', Buffer.from('garbage'));
    await transport.inject('1', 'c', Buffer.from([0xff, 0x0a, 0x0a, 0x0a]));
    await transport.inject('1', 'c', encodeEnvelope('elsewhere', message('fine')));
    await eventually(() => two.received.length > 0);
    expect(two.received).toEqual(['1/c: fine']);
  });
});

test('200,000 channels that one client leaves at once are left', async () => {
  await using server: RedisServer = await startRedis();
  await using one = await redisEnd(server.url, 'relay-1:a');
  const channels = Array.from({ length: 200_000 }, (_, n) => `c${n}`);
  await Promise.all(channels.map((channel) => one.bus.subscribe('1', channel)));
  const listening = async (): Promise<number> => {
    const ends = [channels[0] ?? '', channels.at(-1) ?? ''].map((channel) => keys.bus('1', channel));
    const answer = (await redisCommand(server.url, 'PUBSUB', 'SHARDNUMSUB', ...ends)) as (string | number)[];
    return Number(answer[1]) + Number(answer[3]);
  };
  await eventually(async () => (await listening()) === 2, { timeout: 30_000 });
  for (const channel of channels) one.bus.unsubscribe('1', channel);
  await eventually(async () => (await listening()) === 0, { timeout: 30_000 });
});

describe('the bus and a Redis that goes away', () => {
  test('publish says local and subscribe degraded, soon; when Redis is back all is subscribed again', async () => {
    await using server: RedisServer = await startRedis();
    await using one = await redisEnd(server.url, 'relay-1:a');
    await using two = await redisEnd(server.url, 'relay-2:b');
    await two.bus.subscribe('1', 'before');
    await server.kill9();
    await eventually(async () => (await one.bus.publish('1', ['before'], message('lost'))) === 'local');
    expect(await two.bus.subscribe('1', 'during')).toBe('degraded');
    // Also what Redis had confirmed before: it knows nothing of it now.
    expect(await two.bus.subscribe('1', 'before')).toBe('degraded');
    await server.start();
    for (const channel of ['before', 'during']) {
      await eventually(async () => {
        await one.bus.publish('1', [channel], message('back'));
        return two.received.includes(`1/${channel}: back`);
      });
    }
  });

  test('a Redis that hangs holds nobody up for long', async () => {
    await using server: RedisServer = await startRedis();
    await using one = await redisEnd(server.url, 'relay-1:a');
    server.pause();
    expect(await one.bus.publish('1', ['c'], message('x'))).toBe('local');
    const many = await Promise.all(Array.from({ length: 100 }, () => one.bus.publish('1', ['c'], message('x'))));
    expect(new Set(many)).toEqual(new Set(['local']));
    server.resume();
    await eventually(async () => (await one.bus.publish('1', ['c'], message('x'))) === 'everywhere');
  });

  test('a connection that is lost again while it subscribes anew ends nothing, and at last everything arrives', async () => {
    await using server: RedisServer = await startRedis();
    await using proxy = await startTcpProxy({ port: server.port });
    await using one = await redisEnd(server.url, 'relay-1:a');
    let lost = 0;
    await using two = await redisEnd(`redis://127.0.0.1:${proxy.port}`, 'relay-2:b', 50, () => {
      lost += 1;
      if (lost < 4) proxy.drop();
    });
    const channels = Array.from({ length: 50 }, (_, n) => `c${n}`);
    await Promise.all(channels.map((channel) => two.bus.subscribe('1', channel)));
    proxy.drop();
    await eventually(() => lost === 4);
    for (const channel of channels) {
      await eventually(async () => {
        await one.bus.publish('1', [channel], message('back'));
        return two.received.includes(`1/${channel}: back`);
      });
    }
  });

  test('a subscription lingers, then Redis is told', async () => {
    await using server: RedisServer = await startRedis();
    await using one = await redisEnd(server.url, 'relay-1:a', 300);
    const channels = async (): Promise<unknown> => redisCommand(server.url, 'PUBSUB', 'SHARDCHANNELS');
    await one.bus.subscribe('1', 'c');
    one.bus.unsubscribe('1', 'c');
    expect(await channels()).toEqual([keys.bus('1', 'c')]);
    await eventually(async () => ((await channels()) as unknown[]).length === 0);
  });
});

test('Redis Cluster: a slot moves, and its app hears again', async () => {
  await using cluster = await startCluster();
  const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
  await using one = await redisEnd(url, 'relay-1:a');
  await using two = await redisEnd(url, 'relay-2:b');
  await two.bus.subscribe('1', 'c');
  await cluster.moveSlot(keys.bus('1', 'c'));
  await eventually(
    async () => {
      await one.bus.publish('1', ['c'], message('after'));
      return two.received.includes('1/c: after');
    },
    { timeout: 20_000 },
  );
});
