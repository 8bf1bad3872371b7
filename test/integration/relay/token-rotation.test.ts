import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { MemoryWorld } from './memory-relay.ts';
import { TestClient } from './test-client.ts';

// What a relay makes of a token that was replaced, and of what a token signed for. Two replicas over one directory.

const mint = (fill: number) => mintToken('Live', new Uint8Array(MINT_BYTES).fill(fill));
const old = mint(7);
const next = mint(9);
const HOUR = 3_600_000;

let world: MemoryWorld;
let relay: Relay;
let other: Relay;

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  await world.directory.setToken(old.sha256, { id: old.id });
  [relay, other] = [await world.relay(), await world.relay()];
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const call = async (path: string, body: unknown, token = old.token) => {
  const response = await fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/101${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const told = Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('x-relay-token-')));
  return { status: response.status, told, json: (await response.json()) as Record<string, unknown> };
};
const requests = [
  ['/events', { name: 'a', channel: 'orders', data: '{}' }],
  ['/auth/channel', { socket_id: '1.2', channel_name: 'private-x' }],
  ['/auth/user', { socket_id: '1.2', user_data: { id: 'ada' } }],
] as const;
const second = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

describe.each(requests)('%s with a token', (path, body) => {
  test('that is the present one, with a hard end or without: no header', async () => {
    expect(await call(path, body)).toMatchObject({ status: 200, told: {} });
    await world.directory.setToken(old.sha256, { id: old.id, expiresAt: Date.now() + HOUR });
    expect(await call(path, body)).toMatchObject({ status: 200, told: {} });
  });

  test('that was replaced: that it was, and until when it works', async () => {
    const expiresAt = Date.now() + HOUR;
    await world.directory.setToken(old.sha256, { id: old.id, rotated: true, expiresAt, graceUntil: expiresAt + HOUR });
    expect((await call(path, body)).told).toEqual({
      'x-relay-token-rotated': 'true',
      'x-relay-token-expires': second(expiresAt),
    });
  });

  test('in its grace: that its end has come, and how long it is still let in', async () => {
    const expiresAt = Date.now() - 1_000;
    const graceUntil = Date.now() + HOUR;
    await world.directory.setToken(old.sha256, { id: old.id, rotated: true, expiresAt, graceUntil });
    const { status, told } = await call(path, body);
    expect(status).toBe(200);
    expect(told).toEqual({
      'x-relay-token-rotated': 'true',
      'x-relay-token-expires': second(expiresAt),
      'x-relay-token-expired': 'true',
      'x-relay-token-grace-until': second(graceUntil),
    });
  });

  test('after its grace, by the clock of the relay or by the word of the operator: 401 token_expired, and no header', async () => {
    const over = { status: 401, told: {}, json: { error: { code: 'token_expired' } } };
    const ended = { rotated: true, expiresAt: Date.now() - HOUR, graceUntil: Date.now() - 1 };
    await world.directory.setToken(old.sha256, { id: old.id, ...ended });
    expect(await call(path, body)).toMatchObject(over);
    await world.directory.setToken(old.sha256, { id: old.id, expiresAt: 0 });
    expect(await call(path, body)).toMatchObject(over);
  });
});

describe('what a token signed for', () => {
  const authorize = async (client: TestClient, channel = 'private-x', token = old.token): Promise<string> =>
    String((await call('/auth/channel', { socket_id: client.socketId, channel_name: channel }, token)).json['auth']);
  const subscribe = (client: TestClient, auth: string, channel = 'private-x'): void =>
    client.send({ event: 'pusher:subscribe', data: { channel, auth } });
  const subscribed = async (client: TestClient, channel = 'private-x', token = old.token): Promise<void> => {
    subscribe(client, await authorize(client, channel, token), channel);
    await client.event('pusher_internal:subscription_succeeded', channel);
  };

  test('names the token, and is of no use once its RelayToken is revoked', async () => {
    await using client = await TestClient.connected(other.port);
    const auth = await authorize(client);
    expect(auth).toMatch(new RegExp(`^appkey:[0-9a-f]{64}\\.${old.id}$`));
    await world.directory.removeToken(old.sha256);
    subscribe(client, auth);
    const { data } = await client.event('pusher:subscription_error', 'private-x');
    expect(JSON.parse(String(data))).toMatchObject({ type: 'AuthError', status: 401 });
    const signin = { auth, user_data: '{"id":"ada"}' };
    client.send({ event: 'pusher:signin', data: signin });
    expect(await client.closed()).toBe(4009);
  });

  test('revoked: subscriptions and sign-ins are closed at every replica before that counts as applied, others live on', async () => {
    await using here = await TestClient.connected(relay.port);
    await using there = await TestClient.connected(other.port);
    await using signedIn = await TestClient.connected(other.port);
    await using theirs = await TestClient.connected(other.port);
    await subscribed(here);
    await subscribed(there, 'private-encrypted-x');
    const user = (await call('/auth/user', { socket_id: signedIn.socketId, user_data: { id: 'ada' } })).json;
    signedIn.send({ event: 'pusher:signin', data: user });
    await signedIn.event('pusher:signin_success');
    await theirs.subscribe('private-x');
    await world.directory.removeToken(old.sha256);
    expect([here, there, signedIn].map(({ closeCode }) => closeCode)).toEqual([4009, 4009, 4009]);
    expect(here.received.at(-1)).toMatchObject({ event: 'pusher:error' });
    expect(theirs.closeCode).toBeUndefined();
    await theirs.subscribe('private-y');
  });

  test('rotated: it lives on with the next token, and ends with the last', async () => {
    await using client = await TestClient.connected(other.port);
    await subscribed(client);
    await world.directory.setToken(next.sha256, { id: next.id });
    await world.directory.setToken(old.sha256, { id: old.id, rotated: true, expiresAt: Date.now() + HOUR });
    await subscribed(client, 'private-y', next.token);
    await world.directory.removeToken(old.sha256);
    await client.subscribe('orders');
    expect(client.closeCode).toBeUndefined();
    await world.directory.removeToken(next.sha256);
    expect(client.closeCode).toBe(4009);
  });

  test("another RelayToken's end closes nothing of it", async () => {
    await world.directory.setToken(next.sha256, { id: next.id, name: 'others' });
    await using client = await TestClient.connected(other.port);
    await subscribed(client);
    await world.directory.removeToken(next.sha256);
    await client.subscribe('orders');
    expect(client.closeCode).toBeUndefined();
  });

  test('ends by the clock as well: with the grace, or the hard end', async () => {
    await using client = await TestClient.connected(other.port);
    await subscribed(client);
    const expiresAt = Date.now() + 200;
    await world.directory.setToken(old.sha256, { id: old.id, expiresAt, graceUntil: expiresAt + 300 });
    expect(await client.closed()).toBe(4009);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt + 300);
  });
});
