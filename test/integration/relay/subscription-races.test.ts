import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryBus } from '#relay/bus/memory.ts';
import type { CachedEvent, EventCache } from '#relay/cache/event-cache.ts';
import { MemoryEventCache } from '#relay/cache/memory.ts';
import type { Counted } from '#relay/occupancy/occupancy.ts';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

/** The memory cache behind a gate: an answer is found at once and handed over when the test says so. */
class SlowCache implements EventCache {
  readonly #cache = new MemoryEventCache(() => performance.now());
  readonly #gates: (() => void)[] = [];

  get asked(): number {
    return this.#gates.length;
  }
  answerAll(): void {
    for (const open of this.#gates.splice(0)) open();
  }
  keep(...args: Parameters<EventCache['keep']>): Promise<void> {
    return this.#cache.keep(...args);
  }
  async last(appId: string, channel: string): Promise<Counted<CachedEvent | undefined>> {
    const answer = await this.#cache.last(appId, channel);
    await new Promise<void>((resolve) => this.#gates.push(resolve));
    return answer;
  }
  firstMiss(appId: string, channel: string): Promise<boolean> {
    return this.#cache.firstMiss(appId, channel);
  }
}

/** The memory bus behind a gate: subscriptions are made at once and confirmed when the test says so. */
class SlowBus extends MemoryBus {
  readonly #gates: (() => void)[] = [];

  get asked(): number {
    return this.#gates.length;
  }
  confirmAll(): void {
    for (const open of this.#gates.splice(0)) open();
  }
  override async subscribe(appId: string, channel: string): Promise<'subscribed' | 'degraded'> {
    const outcome = await super.subscribe(appId, channel);
    await new Promise<void>((resolve) => this.#gates.push(resolve));
    return outcome;
  }
}

let world: MemoryWorld;
let cache: SlowCache;
let relay: Relay;
let other: Relay;

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  cache = new SlowCache();
  relay = await world.relay({}, { cache });
  other = await world.relay({}, { cache });
});
afterEach(async () => {
  cache.answerAll();
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const trigger = (channel: string, name: string, port = other.port): Promise<unknown> =>
  serverSdk(port).trigger(channel, name, '');
const events = (client: TestClient): string[] =>
  client.received.map(({ event }) => event).filter((event) => event.startsWith('e') || event.includes('cache_miss'));

describe('a cache channel while the cache is being asked', () => {
  test('what is published meanwhile comes after the cached event, and each once', async () => {
    await trigger('cache-x', 'e0');
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('cache-x');
    await eventually(() => cache.asked === 1);
    await trigger('cache-x', 'e1');
    await trigger('cache-x', 'e2', relay.port);
    await client.settled();
    expect(client.received.map(({ event }) => event)).not.toContain('pusher_internal:subscription_succeeded');
    cache.answerAll();
    await client.event('e2');
    await trigger('cache-x', 'e3');
    await client.event('e3');
    expect(events(client)).toEqual(['e0', 'e1', 'e2', 'e3']);
  });

  test('an empty cache: the miss, then what came meanwhile', async () => {
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('cache-x');
    await eventually(() => cache.asked === 1);
    await trigger('cache-x', 'e1');
    cache.answerAll();
    await client.event('e1');
    expect(events(client)).toEqual(['pusher:cache_miss', 'e1']);
  });

  test('presence-cache: members of the moment, and changes after it', async () => {
    await using ada = await TestClient.connected(relay.port);
    ada.requestSubscription('presence-cache-x', { user_id: 'ada' });
    await eventually(() => cache.asked === 1);
    await using bob = await TestClient.connected(other.port);
    bob.requestSubscription('presence-cache-x', { user_id: 'bob' });
    await eventually(() => cache.asked === 2);
    // Ada is not subscribed yet: she learns of Bob with her members, not by an event before them.
    await ada.settled();
    cache.answerAll();
    const succeeded = await ada.event('pusher_internal:subscription_succeeded');
    expect(JSON.parse(String(succeeded.data))).toMatchObject({ presence: { count: 2 } });
    await bob.event('pusher_internal:subscription_succeeded');
    bob.unsubscribe('presence-cache-x');
    await ada.event('pusher_internal:member_removed');
    expect(ada.all('pusher_internal:member_added')).toEqual([]);
  });

  test('unsubscribed and subscribed again before the first answer: one subscription, each event once', async () => {
    await trigger('cache-x', 'e0');
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('cache-x');
    await eventually(() => cache.asked === 1);
    client.unsubscribe('cache-x');
    client.requestSubscription('cache-x');
    await eventually(() => cache.asked === 2);
    await trigger('cache-x', 'e1');
    cache.answerAll();
    await client.event('e1');
    await client.settled();
    expect(events(client)).toEqual(['e0', 'e1']);
    expect(client.all('pusher_internal:subscription_succeeded')).toHaveLength(1);
  });

  test('a cache that is away: subscribed all the same, and told to look elsewhere', async () => {
    await using away = await world.relay();
    world.cache.goAway();
    await using client = await TestClient.connected(away.port);
    await client.subscribe('cache-x');
    await trigger('cache-x', 'e1', away.port);
    await client.event('e1');
    expect(events(client)).toEqual(['pusher:cache_miss', 'e1']);
    const metrics = await (await fetch(`http://127.0.0.1:${away.metricsPort}/metrics`)).text();
    expect(metrics).toContain('relay_degraded_total{part="cache"} 1\n');
  });

  test('closed meanwhile: nothing is left', async () => {
    const client = await TestClient.connected(relay.port);
    client.requestSubscription('presence-cache-x', { user_id: 'ada' });
    await eventually(() => cache.asked === 1);
    await client[Symbol.asyncDispose]();
    cache.answerAll();
    await vacant('presence-cache-x');
  });
});

/** Nobody is counted in the channel, and a newcomer finds nobody. */
async function vacant(channel: string): Promise<void> {
  await eventually(async () => {
    const { channels } = (await (await serverSdk(other.port).get({ path: '/channels' })).json()) as {
      channels: Record<string, unknown>;
    };
    return !(channel in channels);
  });
  await using newcomer = await TestClient.connected(other.port);
  newcomer.requestSubscription(channel, { user_id: 'newcomer' });
  const succeeded = await eventually(() => {
    cache.answerAll();
    return newcomer.received.find(({ event }) => event === 'pusher_internal:subscription_succeeded');
  });
  expect(JSON.parse(String(succeeded.data))).toMatchObject({ presence: { ids: ['newcomer'], count: 1 } });
}

describe('nothing is left behind', () => {
  type Leaving = readonly [how: string, leave: (client: TestClient) => void, left: (client: TestClient) => unknown];
  const leaving: readonly Leaving[] = [
    ['the socket closes', (client) => client.webSocket.close(), (client) => client.closed()],
    ['the connection is cut', (client) => client.webSocket.terminate(), (client) => client.closed()],
    ['it unsubscribes', (client) => client.unsubscribe('presence-room'), (client) => client.settled()],
  ];
  test.each(leaving)('%s right behind the request', async (_, leave, left) => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => TestClient.connected(relay.port)));
    clients.forEach((client, n) => {
      client.requestSubscription('presence-room', { user_id: `u${n}` });
      leave(client);
    });
    await Promise.all(clients.map(left));
    await vacant('presence-room');
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test.each(leaving)('%s while the bus has not answered', async (_, leave, left) => {
    const buses: SlowBus[] = [];
    const slow = await world.relay(
      {},
      {
        bus: (listener) => {
          const bus = new SlowBus(world.wire, 'slow', listener);
          buses.push(bus);
          return bus;
        },
      },
    );
    const [bus] = buses;
    const client = await TestClient.connected(slow.port);
    client.requestSubscription('presence-room', { user_id: 'ada' });
    await eventually(() => bus?.asked === 1);
    leave(client);
    await left(client);
    // The relay has heard of the end: the socket is no connection any more, or what it sent was answered.
    await eventually(async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${slow.metricsPort}/metrics`)).text();
      return metrics.includes(`relay_connections ${client.closeCode === undefined ? 1 : 0}\n`);
    });
    bus?.confirmAll();
    await vacant('presence-room');
    await client[Symbol.asyncDispose]();
    await slow[Symbol.asyncDispose]();
  });

  test('subscribed and unsubscribed in turns, the last word counts', async () => {
    await using client = await TestClient.connected(relay.port);
    for (let n = 0; n < 10; n += 1) {
      client.requestSubscription('presence-room', { user_id: 'ada' });
      client.unsubscribe('presence-room');
    }
    client.requestSubscription('presence-room', { user_id: 'ada' });
    await client.event('pusher_internal:subscription_succeeded');
    await using bob = await TestClient.connected(other.port);
    await bob.join('presence-room', 'bob');
    expect(bob.all('pusher_internal:subscription_succeeded')).toMatchObject([{ presence: { count: 2 } }]);
    client.unsubscribe('presence-room');
    await bob.event('pusher_internal:member_removed');
  });

  test('a socket that closes right behind its sign-in is not online', async () => {
    await world.directory.setApp({
      channels: { ...DEFAULT_POLICY.channels, watchlists: true },
    });
    for (let n = 0; n < 10; n += 1) {
      const client = await TestClient.connected(relay.port);
      client.requestSignin({ id: 'bob', watchlist: ['ada'] });
      client.webSocket.terminate();
    }
    await eventually(async () => {
      await using ada = await TestClient.connected(other.port);
      await ada.signin({ id: 'ada', watchlist: ['bob'] });
      await ada.event('pusher_internal:watchlist_events');
      const [first] = ada.all('pusher_internal:watchlist_events') as { events: { name: string }[] }[];
      return first?.events[0]?.name === 'offline';
    });
  });
});
