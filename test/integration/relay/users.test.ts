import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { browser, collected, next, serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

let world: MemoryWorld;
let relay: Relay;
let other: Relay;

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp({ channels: WITH_WATCHLISTS });
  relay = await world.relay();
  other = await world.relay();
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const WITH_WATCHLISTS = { ...DEFAULT_POLICY.channels, watchlists: true };

describe('sign-in', () => {
  test('pusher-js: what the backend says to a user reaches its sockets everywhere, and nobody else', async () => {
    using here = browser(relay.port, { user: { id: 'ada' } });
    using there = browser(other.port, { user: { id: 'ada' } });
    using bob = browser(relay.port, { user: { id: 'bob' } });
    const heard = [here, there, bob].map((client) => {
      client.signin();
      return { greetings: collected(client.user, 'greeting'), ends: collected(client.user, 'end') };
    });
    // Subscribed to its channel only after sign-in, so the first that are sent may come too early.
    await eventually(async () => {
      await serverSdk(relay.port).sendToUser('ada', 'greeting', { hello: 'Ada' });
      return heard.slice(0, 2).every(({ greetings }) => greetings.length > 0);
    });
    await eventually(async () => {
      await serverSdk(relay.port).sendToUser('bob', 'end', {});
      return heard[2]?.ends.length;
    });
    expect(heard[0]?.greetings[0]).toEqual({ hello: 'Ada' });
    expect(heard[2]?.greetings).toEqual([]);
  });

  test('the success repeats the data; signing in again as the same user is fine', async () => {
    await using client = await TestClient.connected(relay.port);
    await client.signin({ id: 'ada' });
    client.requestSignin({ id: 'ada', user_info: { n: 2 } });
    await eventually(() => client.all('pusher:signin_success').length === 2);
    expect(client.all('pusher:signin_success')).toEqual([
      { user_data: '{"id":"ada"}' },
      { user_data: '{"id":"ada","user_info":{"n":2}}' },
    ]);
  });

  test.each<[string, (client: TestClient) => unknown]>([
    ['a wrong secret', (client) => client.requestSignin({ id: 'ada' }, 'wrong')],
    ['a revoked key', (client) => client.requestSignin({ id: 'ada' }, 'appsecret', 'gone')],
    ['no id', (client) => client.requestSignin({})],
    ['nothing', (client) => client.send({ event: 'pusher:signin' })],
    [
      'another user than before',
      async (client) => {
        await client.signin({ id: 'ada' });
        client.requestSignin({ id: 'bob' });
      },
    ],
  ])('%s: 4009, told first', async (_, signIn) => {
    await using client = await TestClient.connected(relay.port);
    await signIn(client);
    expect(await client.closed()).toBe(4009);
    expect(client.received.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4009 } });
  });

  test('the channel of another user is refused, with and without a sign-in', async () => {
    await using client = await TestClient.connected(relay.port);
    client.requestSubscription('#server-to-user-bob');
    await client.event('pusher:subscription_error', '#server-to-user-bob');
    await client.signin({ id: 'ada' });
    await client.subscribe('#server-to-user-ada');
    client.requestSubscription('#server-to-user-bob');
    client.requestSubscription('#user-ada');
    await client.settled();
    const errors = client.received.filter(({ event }) => event === 'pusher:subscription_error');
    expect(errors.map(({ channel }) => channel)).toEqual(['#server-to-user-bob', '#server-to-user-bob', '#user-ada']);
  });

  test('an id that JSON has to escape', async () => {
    await using client = await TestClient.connected(relay.port);
    const id = 'a"b\\é';
    await client.signin({ id });
    await client.subscribe(`#server-to-user-${id}`);
    await serverSdk(other.port).sendToUser(id, 'greeting', 'x');
    expect(await client.event('greeting')).toEqual({
      event: 'greeting',
      channel: `#server-to-user-${id}`,
      data: 'x',
    });
  });

  test('the backend ends all connections of a user, at every replica', async () => {
    await using here = await TestClient.connected(relay.port);
    await using there = await TestClient.connected(other.port);
    await using bob = await TestClient.connected(relay.port);
    await Promise.all([here.signin({ id: 'ada' }), there.signin({ id: 'ada' }), bob.signin({ id: 'bob' })]);
    await serverSdk(relay.port).terminateUserConnections('ada');
    expect(await Promise.all([here.closed(), there.closed()])).toEqual([4009, 4009]);
    await bob.settled();
    expect(bob.closeCode).toBeUndefined();
  });
});

describe('watchlists', () => {
  const news = 'pusher_internal:watchlist_events';
  const told = (client: TestClient): unknown[] =>
    client.all(news).flatMap((data) => (data as { events: unknown[] }).events);

  test('pusher-js: who is online now, and who comes and goes, wherever', async () => {
    await using bob = await TestClient.connected(other.port);
    await bob.signin({ id: 'bob' });
    using ada = browser(relay.port, { user: { id: 'ada', watchlist: ['bob', 'cyd'] } });
    const online = collected(ada.user.watchlist, 'online');
    const offline = collected(ada.user.watchlist, 'offline');
    ada.signin();
    await eventually(() => offline.length > 0);
    expect([online, offline]).toEqual([
      [{ name: 'online', user_ids: ['bob'] }],
      [{ name: 'offline', user_ids: ['cyd'] }],
    ]);
    await using cyd = await TestClient.connected(other.port);
    await cyd.signin({ id: 'cyd' });
    await eventually(() => online.length === 2);
    await bob[Symbol.asyncDispose]();
    await eventually(() => offline.length === 2);
    expect([online[1], offline[1]]).toEqual([
      { name: 'online', user_ids: ['cyd'] },
      { name: 'offline', user_ids: ['bob'] },
    ]);
  });

  test('another connection of somebody who is online is no news; two watchers are both told', async () => {
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(relay.port);
    await Promise.all([one, two].map((client) => client.signin({ id: 'ada', watchlist: ['bob'] })));
    await Promise.all([one.event(news), two.event(news)]);
    await using bob = await TestClient.connected(other.port);
    await using bobAgain = await TestClient.connected(relay.port);
    await bob.signin({ id: 'bob' });
    await eventually(() => told(one).length === 2 && told(two).length === 2);
    await bobAgain.signin({ id: 'bob' });
    await bob[Symbol.asyncDispose]();
    await bobAgain[Symbol.asyncDispose]();
    await eventually(() => told(one).length === 3 && told(two).length === 3);
    const expected = ['offline', 'online', 'offline'].map((name) => ({ name, user_ids: ['bob'] }));
    expect([told(one), told(two)]).toEqual([expected, expected]);
  });

  test('a new sign-in replaces the list', async () => {
    await using ada = await TestClient.connected(relay.port);
    await ada.signin({ id: 'ada', watchlist: ['bob'] });
    await ada.event(news);
    ada.requestSignin({ id: 'ada', watchlist: ['cyd'] });
    await eventually(() => told(ada).length === 2);
    await using bob = await TestClient.connected(other.port);
    await bob.signin({ id: 'bob' });
    await using cyd = await TestClient.connected(other.port);
    await cyd.signin({ id: 'cyd' });
    await eventually(() => told(ada).length === 3);
    expect(told(ada)).toEqual([
      { name: 'offline', user_ids: ['bob'] },
      { name: 'offline', user_ids: ['cyd'] },
      { name: 'online', user_ids: ['cyd'] },
    ]);
  });

  test('more than 100: error 4302, signed in, the first 100 are watched', async () => {
    await using ada = await TestClient.connected(relay.port);
    await ada.signin({ id: 'ada', watchlist: Array.from({ length: 101 }, (_, n) => `u${n}`) });
    expect(await ada.event('pusher:error')).toMatchObject({ data: { code: 4302 } });
    await ada.event(news);
    expect((told(ada)[0] as { user_ids: string[] }).user_ids).toHaveLength(100);
    expect(ada.closeCode).toBeUndefined();
  });

  test('an app without watchlists: nothing is told', async () => {
    await world.directory.setApp({ channels: { ...WITH_WATCHLISTS, watchlists: false } });
    await using ada = await TestClient.connected(relay.port);
    await ada.signin({ id: 'ada', watchlist: ['bob'] });
    await using bob = await TestClient.connected(relay.port);
    await bob.signin({ id: 'bob' });
    await ada.settled();
    expect(told(ada)).toEqual([]);
  });
});

test('pusher-js: a refused sign-in ends in disconnected, not in waiting for ever', async () => {
  using client = browser(relay.port, { user: { id: 'ada' } });
  await next(client.connection, 'connected');
  const disconnected = next(client.connection, 'disconnected');
  client.send_event('pusher:signin', { auth: 'appkey:00', user_data: '{"id":"ada"}' });
  await disconnected;
});
