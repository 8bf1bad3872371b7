import { createHmac } from 'node:crypto';
import Pusher from 'pusher';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { browser, next } from './sdks.ts';
import { TestClient } from './test-client.ts';

// What a relay makes of an app that has several keys, as it has while one replaces another. The SDKs are unmodified.

let world: MemoryWorld;
let relay: Relay;
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(9));

beforeEach(async () => {
  world = new MemoryWorld();
  relay = await world.relay();
});
afterEach(() => relay[Symbol.asyncDispose]());

const sdk = (key: string, secret: string): Pusher =>
  new Pusher({ appId: '101', key, secret, host: '127.0.0.1', port: String(relay.port), useTLS: false });
const publish = (key: string, secret: string): Promise<number> =>
  sdk(key, secret)
    .trigger('orders', 'created', {})
    .then(
      ({ status }) => status,
      (error: { status?: number }) => error.status ?? 0,
    );
const withHeaders = async (key: string, secret: string): Promise<number> =>
  (
    await fetch(`http://127.0.0.1:${relay.port}/apps/101/channels`, {
      headers: { 'X-Relay-Key': key, 'X-Relay-Secret': secret },
    })
  ).status;

/** Everywhere that a key and its secret count: 200 or the refusal, in one list. */
const verdicts = async (key: string, secret: string): Promise<readonly unknown[]> => {
  await using client = new TestClient(`ws://127.0.0.1:${relay.port}/app/${key}?protocol=7`);
  await eventually(() => client.received.length > 0);
  if (client.received[0]?.event !== 'pusher:connection_established')
    return [await publish(key, secret), await withHeaders(key, secret), await client.closed()];
  const { auth } = sdk(key, secret).authorizeChannel(client.socketId, 'private-a');
  client.send({ event: 'pusher:subscribe', data: { channel: 'private-a', auth } });
  const answered = await eventually(() =>
    client.received.find(({ event }) => event.includes('subscription_') && event !== 'pusher:error'),
  );
  return [await publish(key, secret), await withHeaders(key, secret), answered.event];
};
const FINE = [200, 200, 'pusher_internal:subscription_succeeded'];

test('two secrets under one key verify everywhere, and a third nowhere', async () => {
  await world.directory.setApp({
    keys: [
      { id: 'k1', key: 'appkey', secret: 'old', expiresAt: Date.now() + 3_600_000 },
      { id: 'k2', key: 'appkey', secret: 'new', pending: true },
    ],
  });
  expect(await verdicts('appkey', 'old')).toEqual(FINE);
  expect(await verdicts('appkey', 'new')).toEqual(FINE);
  expect(await verdicts('appkey', 'other')).toEqual([401, 401, 'pusher:subscription_error']);
});

test('a key whose end has come verifies nowhere, although nobody has taken it out', async () => {
  await world.directory.setApp({
    keys: [
      { id: 'k1', key: 'former', secret: 'old', expiresAt: Date.now() - 1 },
      { id: 'k2', key: 'appkey', secret: 'former', expiresAt: Date.now() - 1 },
      { id: 'k3', key: 'appkey', secret: 'new' },
    ],
  });
  expect(await verdicts('appkey', 'new')).toEqual(FINE);
  expect(await verdicts('former', 'old')).toEqual([401, 401, 4009]);
  expect(await verdicts('appkey', 'former')).toEqual([401, 401, 'pusher:subscription_error']);
});

test('a socket is closed with 4009 when its key ends by the clock; one whose key only got another secret stays', async () => {
  const ends = Date.now() + 1_500;
  await world.directory.setApp({
    keys: [
      { id: 'k1', key: 'former', secret: 'old', expiresAt: ends },
      { id: 'k2', key: 'appkey', secret: 'old', expiresAt: ends },
      { id: 'k3', key: 'appkey', secret: 'new' },
    ],
  });
  await using former = await TestClient.connected(relay.port, 'former');
  using staying = browser(relay.port);
  await next(staying.connection, 'connected');
  expect(await former.closed()).toBe(4009);
  expect(Date.now()).toBeGreaterThanOrEqual(ends);
  expect(former.received.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4009 } });
  expect(staying.connection.state).toBe('connected');
});

test('the relay signs for a backend with the oldest key that verifies', async () => {
  await world.directory.setToken(token.sha256);
  const signed = async (): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/101/auth/channel`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ socket_id: '1.2', channel_name: 'private-a' }),
    });
    return ((await response.json()) as { auth: string }).auth;
  };
  const keys = [
    { id: 'k1', key: 'ended', secret: 'a', expiresAt: Date.now() - 1 },
    { id: 'k2', key: 'old', secret: 'b', expiresAt: Date.now() + 3_600_000 },
    { id: 'k3', key: 'new', secret: 'c' },
  ];
  const signature = (key: string, secret: string): string =>
    `${key}:${createHmac('sha256', secret).update('token:token00001:1.2:private-a').digest('hex')}.token00001`;
  await world.directory.setApp({ keys });
  expect(await signed()).toBe(signature('old', 'b'));
  await world.directory.setApp({ keys: keys.slice(2) });
  expect(await signed()).toBe(signature('new', 'c'));
});
