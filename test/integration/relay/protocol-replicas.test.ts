import { setImmediate as turn } from 'node:timers/promises';
import type Pusher from 'pusher';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { serverSdk, startRelayInstallation, type RelayInstallation, type RelayProcess } from './relay-installation.ts';
import { TestClient } from './test-client.ts';

/** What clients see of one app at two relay processes with Redis between them. */
let installation: RelayInstallation;
let one: RelayProcess;
let two: RelayProcess;
let sdk: Pusher;

beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  await installation.app({ appId: '101', key: 'appkey', secret: 'appsecret', channels: { watchlists: true } });
  [one, two] = (await installation.relays('relay-1', 'relay-2')) as [RelayProcess, RelayProcess];
  sdk = serverSdk(one, { appId: '101', key: 'appkey', secret: 'appsecret' });
});
afterAll(() => installation[Symbol.asyncDispose]());

test('a cache channel under steady publishing: whoever subscribes gets the last event and every later one, in order', async () => {
  const LAST = 300;
  const clients: TestClient[] = [];
  const subscribing = (async (): Promise<void> => {
    while (clients.length < 40) {
      const client = await TestClient.connected(clients.length % 2 === 0 ? one.port : two.port);
      clients.push(client);
      await client.subscribe('cache-counter');
    }
  })();
  for (let n = 1; n <= LAST; n += 1) {
    await sdk.trigger('cache-counter', 'counted', String(n));
    await turn();
  }
  await subscribing;
  const numbers = (client: TestClient): number[] =>
    client.received.filter(({ event }) => event === 'counted').map(({ data }) => Number(data));
  for (const client of clients) await eventually(() => numbers(client).at(-1) === LAST);
  for (const client of clients) {
    const [first = 0, ...rest] = numbers(client);
    expect(rest).toEqual(Array.from({ length: LAST - first }, (_, n) => first + 1 + n));
    await client[Symbol.asyncDispose]();
  }
});

test('presence: joins and leaves at both at once end in the same members everywhere', async () => {
  const clients = await Promise.all(
    Array.from({ length: 12 }, (_, n) => TestClient.connected(n % 2 === 0 ? one.port : two.port)),
  );
  await Promise.all(clients.map((client, n) => client.join('presence-room', `u${n}`, { n })));
  const membersOf = (client: TestClient): string[] => {
    const [succeeded] = client.all('pusher_internal:subscription_succeeded') as { presence: { ids: string[] } }[];
    const members = new Set(succeeded?.presence.ids);
    for (const { event, data } of client.received) {
      const { user_id: id } = (typeof data === 'string' && data !== '' ? JSON.parse(data) : {}) as { user_id?: string };
      if (id === undefined) continue;
      // Told once: who is known does not come, who is unknown does not go.
      expect(members.has(id)).toBe(event === 'pusher_internal:member_removed');
      if (event === 'pusher_internal:member_added') members.add(id);
      else members.delete(id);
    }
    return [...members].sort();
  };
  const all = clients.map((_, n) => `u${n}`).sort();
  await eventually(() => clients.every((client) => membersOf(client).length === all.length));
  const [gone, left] = [clients.slice(0, 6), clients.slice(6)];
  for (const client of gone) client.webSocket.terminate();
  const rest = all.filter((id) => left.some((_, n) => id === `u${n + 6}`));
  await eventually(() => left.every((client) => membersOf(client).length === rest.length));
  for (const client of left) expect(membersOf(client)).toEqual(rest);
  for (const client of left) await client[Symbol.asyncDispose]();
});

test('a user is one over both: watched, spoken to, and sent away', async () => {
  await using ada = await TestClient.connected(one.port);
  await ada.signin({ id: 'ada', watchlist: ['bob'] });
  await ada.event('pusher_internal:watchlist_events');
  await using bob = await TestClient.connected(two.port);
  await bob.signin({ id: 'bob' });
  await bob.subscribe('#server-to-user-bob');
  await sdk.sendToUser('bob', 'greeting', 'x');
  await bob.event('greeting');
  await sdk.terminateUserConnections('bob');
  expect(await bob.closed()).toBe(4009);
  await eventually(() => ada.all('pusher_internal:watchlist_events').length === 3);
  expect(ada.all('pusher_internal:watchlist_events')).toEqual(
    ['offline', 'online', 'offline'].map((name) => ({ events: [{ name, user_ids: ['bob'] }] })),
  );
});
