import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { browser, serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

// Long, because every case drives the same relay, in process and with a real directory, from the outside.

let world: MemoryWorld;
let relay: Relay;
let other: Relay;
const stop = new AsyncDisposableStack();
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  await world.directory.setToken(token.sha256);
  relay = await world.relay();
  other = await world.relay();
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const sdk = serverSdk;

const post = (port: number, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const bearer = { authorization: `Bearer ${token.token}` };

describe('SDKs, unmodified', () => {
  test('pusher-js at one replica receives what the Node SDK triggers at the other', async () => {
    const client = browser(relay.port);
    try {
      const channel = client.subscribe('orders');
      await new Promise<void>((resolve) => channel.bind('pusher:subscription_succeeded', () => resolve()));
      const event = new Promise((resolve) => channel.bind('created', resolve));
      const response = await sdk(other.port).trigger('orders', 'created', { id: 7 });
      expect(await response.text()).toBe('{}');
      expect(await event).toEqual({ id: 7 });
    } finally {
      client.disconnect();
    }
  });

  test('a private channel with client events, never echoed', async () => {
    const sender = browser(relay.port);
    const receiver = browser(other.port);
    try {
      const [from, to] = [sender.subscribe('private-room'), receiver.subscribe('private-room')];
      await Promise.all(
        [from, to].map(
          (channel) => new Promise<void>((resolve) => channel.bind('pusher:subscription_succeeded', () => resolve())),
        ),
      );
      const echoes: unknown[] = [];
      from.bind('client-typing', (data: unknown) => echoes.push(data));
      const event = new Promise((resolve) => to.bind('client-typing', resolve));
      from.trigger('client-typing', { who: 'ada' });
      expect(await event).toEqual({ who: 'ada' });
      await sdk(relay.port).trigger('private-room', 'after', '');
      await new Promise<void>((resolve) => {
        from.bind('after', () => resolve());
        void sdk(relay.port).trigger('private-room', 'after', '');
      });
      expect(echoes).toEqual([]);
    } finally {
      sender.disconnect();
      receiver.disconnect();
    }
  });

  test('the excluded socket does not get its own event, others do', async () => {
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(other.port);
    await Promise.all([one.subscribe('orders'), two.subscribe('orders')]);
    await sdk(other.port).trigger('orders', 'first', 'x', { socket_id: one.socketId });
    await sdk(other.port).trigger('orders', 'second', 'x');
    await one.event('second');
    await two.event('first');
    expect(one.received.map(({ event }) => event)).not.toContain('first');
  });

  test('queries: channels, one channel, info in triggers', async () => {
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(other.port);
    await Promise.all([one.subscribe('orders'), two.subscribe('orders')]);
    const all = await sdk(other.port).get({ path: '/channels', params: { info: 'subscription_count' } });
    expect(await all.json()).toEqual({ channels: { orders: { subscription_count: 2 } } });
    const single = await sdk(relay.port).get({ path: '/channels/orders' });
    expect(await single.text()).toBe('{"occupied":true}');
    const info = await sdk(relay.port).trigger(['orders', 'empty'], 'x', '', { info: 'subscription_count,user_count' });
    expect(await info.json()).toEqual({
      channels: { orders: { subscription_count: 2 }, empty: { subscription_count: 0 } },
    });
    const batch = await sdk(relay.port).triggerBatch([
      { channel: 'orders', name: 'a', data: '', info: 'subscription_count' },
      { channel: 'orders', name: 'b', data: '' },
    ]);
    expect(await batch.json()).toEqual({ batch: [{ subscription_count: 2 }, {}] });
  });
});

describe('the three ways to authenticate, both prefixes', () => {
  const event = { name: 'x', channel: 'orders', data: '{}' };

  test.each(['/apps/101/events', '/api/v1/apps/101/events'])('%s', async (path) => {
    for (const headers of [bearer, { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' }]) {
      const response = await post(relay.port, path, event, headers);
      expect([response.status, await response.text()]).toEqual([200, '{}']);
      expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test.each<[string, number, string, Record<string, string>]>([
    ['nothing', 401, 'authentication_required', {}],
    [
      'an unknown token',
      401,
      'token_unknown',
      { authorization: `Bearer ${mintToken('Live', new Uint8Array(96)).token}` },
    ],
    ['garbage', 401, 'token_unknown', { authorization: 'Bearer nonsense' }],
    ['another scheme', 401, 'authentication_scheme_unsupported', { authorization: 'Basic eDp5' }],
    ['a token without its scheme', 401, 'authentication_scheme_unsupported', { authorization: token.token }],
    ['a wrong secret', 401, 'key_or_secret_wrong', { 'x-relay-key': 'appkey', 'x-relay-secret': 'no' }],
    [
      'two kinds',
      400,
      'authentication_ambiguous',
      { ...bearer, 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' },
    ],
  ])('%s → %i %s', async (_, status, code, headers) => {
    const response = await post(relay.port, '/apps/101/events', event, headers);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    const challenge = `Bearer realm="relay"${code === 'token_unknown' ? ', error="invalid_token"' : ''}`;
    expect(response.headers.get('www-authenticate')).toBe(status === 401 ? challenge : null);
  });

  test('a token of another app, an expired token, a revoked token', async () => {
    await world.directory.setApp({ appId: '102', keys: [] });
    expect((await post(relay.port, '/apps/102/events', event, bearer)).status).toBe(403);
    await world.directory.setToken(token.sha256, { expiresAt: Date.now() - 1 });
    expect(await (await post(relay.port, '/apps/101/events', event, bearer)).json()).toMatchObject({
      error: { code: 'token_expired' },
    });
    await world.directory.removeToken(token.sha256);
    expect(await (await post(relay.port, '/apps/101/events', event, bearer)).json()).toMatchObject({
      error: { code: 'token_unknown' },
    });
  });

  test('a method that the app switched off', async () => {
    await world.directory.setApp({ authentication: { bearer: false, keyAndSecret: true, signature: false } });
    expect(await (await post(relay.port, '/apps/101/events', event, bearer)).json()).toMatchObject({
      error: { code: 'method_disabled' },
    });
    await expect(sdk(relay.port).trigger('orders', 'x', '')).rejects.toMatchObject({ status: 401 });
  });
});

describe('what SDK tests pin', () => {
  test('an event over the limit: 413 with their words; ten times that: also 413', async () => {
    for (const size of [10_241, 5_000_000]) {
      const error = await sdk(relay.port)
        .trigger('orders', 'x', 'a'.repeat(size))
        .catch((error: unknown) => error);
      expect(error).toMatchObject({ status: 413, body: expect.stringContaining('content of this event') as string });
    }
  });
  test('eleven events: 400 Batch too large', async () => {
    const batch = Array.from({ length: 11 }, () => ({ channel: 'orders', name: 'x', data: '' }));
    const error = await sdk(relay.port)
      .triggerBatch(batch)
      .catch((error: unknown) => error);
    expect(error).toMatchObject({ status: 400, body: expect.stringContaining('Batch too large') as string });
  });
  test('an unknown info attribute', async () => {
    const error = await sdk(relay.port)
      .get({ path: '/channels', params: { info: 'nonsense' } })
      .catch((error: unknown) => error);
    expect(error).toMatchObject({
      status: 400,
      body: expect.stringContaining('info should be a comma separated list of attributes') as string,
    });
  });
  test('user_count without a presence prefix', async () => {
    await expect(sdk(relay.port).get({ path: '/channels', params: { info: 'user_count' } })).rejects.toMatchObject({
      status: 400,
    });
  });
});

describe('sockets follow the directory', () => {
  test.each<[string, number, () => Promise<void>]>([
    ['app removed', 4001, () => world.directory.removeApp('101')],
    ['app disabled', 4003, () => world.directory.setApp({ enabled: false })],
    ['key gone', 4009, () => world.directory.setApp({ keys: [{ id: 'k2', key: 'new', secret: 'new' }] })],
  ])('%s → %i, closed before the change is reported', async (_, code, change) => {
    await using client = await TestClient.connected(relay.port);
    await change();
    expect(await (await fetch(`http://127.0.0.1:${relay.metricsPort}/metrics`)).text()).toContain(
      'relay_connections 0',
    );
    expect(await client.closed()).toBe(code);
    expect(client.received.at(-1)).toMatchObject({ event: 'pusher:error', data: { code } });
  });

  test('the change is not reported while a socket has not answered its close frame', async () => {
    const socket = connect(relay.port, '127.0.0.1');
    const received: Buffer[] = [];
    socket.write(
      'GET /app/appkey?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    let reported = false;
    const reportedAtClose = new Promise<boolean>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        received.push(chunk);
        if (Buffer.concat(received).includes('"code":4001')) resolve(reported);
      });
    });
    await eventually(() => Buffer.concat(received).includes('connection_established'));
    const change = (async (): Promise<void> => {
      await world.directory.removeApp('101');
      reported = true;
    })();
    expect(await reportedAtClose).toBe(false);
    socket.destroy();
    await change;
  });

  test('a change that concerns no socket closes none', async () => {
    await using client = await TestClient.connected(relay.port);
    await world.directory.setApp({
      limits: { connections: 5, eventBytes: 1, clientEventsPerSecond: 1, presenceMembers: 100, rate: null },
    });
    await client.settled();
    expect(client.closeCode).toBeUndefined();
  });

  test('a fence closes with 4100 and answers 503', async () => {
    await using client = await TestClient.connected(relay.port);
    world.directory.setState({ ready: false, fenced: true });
    expect(await client.closed()).toBe(4100);
    expect((await post(relay.port, '/apps/101/events', {}, bearer)).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${relay.metricsPort}/readyz`)).status).toBe(503);
  });
});

describe('connecting', () => {
  test.each([
    ['/app/unknown?protocol=7', 4001],
    ['/app/appkey', 4008],
    ['/app/appkey?protocol=seven', 4006],
    ['/app/appkey?protocol=3', 4007],
    ['/app/appkey?protocol=8', 4007],
    ['/app', 4005],
    ['/elsewhere/appkey?protocol=7', 4005],
    ['/app/appkey/more?protocol=7', 4005],
  ])('%s → %i', async (path, code) => {
    await using client = new TestClient(`ws://127.0.0.1:${relay.port}${path}`);
    expect(await client.closed()).toBe(code);
    expect(client.received).toMatchObject([{ event: 'pusher:error', data: { code } }]);
  });

  test('the quota counts all replicas', async () => {
    await world.directory.setApp({
      limits: { connections: 2, eventBytes: 100, clientEventsPerSecond: 1, presenceMembers: 100, rate: null },
    });
    await using one = await TestClient.connected(relay.port);
    await using _two = await TestClient.connected(other.port);
    await using three = new TestClient(`ws://127.0.0.1:${relay.port}/app/appkey?protocol=7`);
    expect(await three.closed()).toBe(4004);
    await one[Symbol.asyncDispose]();
    await eventually(async () => {
      const again = new TestClient(`ws://127.0.0.1:${other.port}/app/appkey?protocol=7`);
      stop.use(again);
      await eventually(() => again.received.length > 0);
      return again.received[0]?.event === 'pusher:connection_established';
    });
  });
});

describe('subscriptions and client events', () => {
  test('refused: not served, wrong signature, twice', async () => {
    await using client = await TestClient.connected(relay.port);
    client.send({ event: 'pusher:subscribe', data: { channel: 'presence-x' } });
    await client.event('pusher:subscription_error', 'presence-x');
    client.send({ event: 'pusher:subscribe', data: { channel: 'private-x', auth: 'appkey:00' } });
    const error = await client.event('pusher:subscription_error', 'private-x');
    expect(JSON.parse(String(error.data))).toMatchObject({ type: 'AuthError', status: 401 });
    await client.subscribe('orders');
    client.send({ event: 'pusher:subscribe', data: { channel: 'orders' } });
    await client.settled();
    expect(client.received.at(-2)).toEqual({
      event: 'pusher:error',
      data: { code: null, message: 'Existing subscription to channel orders' },
    });
    expect(client.closeCode).toBeUndefined();
  });

  test('the rate of a connection: 4301, and the socket stays', async () => {
    await world.directory.setApp({
      limits: { connections: null, eventBytes: 100, clientEventsPerSecond: 2, presenceMembers: 100, rate: null },
    });
    await using sender = await TestClient.connected(relay.port);
    await using receiver = await TestClient.connected(relay.port);
    await Promise.all([sender.subscribe('private-x'), receiver.subscribe('private-x')]);
    for (let n = 0; n < 5; n++) sender.send({ event: 'client-x', channel: 'private-x', data: { n } });
    await sender.settled();
    const errors = sender.received.filter(({ event }) => event === 'pusher:error');
    expect(errors).toHaveLength(3);
    expect(errors[0]).toMatchObject({ data: { code: 4301 } });
    await receiver.settled();
    expect(receiver.received.filter(({ event }) => event === 'client-x')).toHaveLength(2);
    expect(receiver.received.find(({ event }) => event === 'client-x')?.data).toBe('{"n":0}');
  });

  test('after unsubscribe nothing arrives, and the channel is vacant', async () => {
    await using client = await TestClient.connected(relay.port);
    await client.subscribe('orders');
    client.send({ event: 'pusher:unsubscribe', data: { channel: 'orders' } });
    await client.settled();
    await sdk(other.port).trigger('orders', 'x', '');
    await client.settled();
    expect(client.received.map(({ event }) => event)).not.toContain('x');
    expect(await (await sdk(relay.port).get({ path: '/channels/orders' })).json()).toEqual({ occupied: false });
  });
});

test('while the bus is away local subscribers get their events and the reply says so', async () => {
  await using client = await TestClient.connected(relay.port);
  await client.subscribe('orders');
  world.wire.cut();
  const response = await post(relay.port, '/apps/101/events', { name: 'x', channel: 'orders', data: '' }, bearer);
  expect([response.status, response.headers.get('x-relay-delivery')]).toEqual([200, 'local']);
  await client.event('x');
});

test('drain: not ready, sockets reconnect at once (4200), requests are finished', async () => {
  const clients = await Promise.all(Array.from({ length: 5 }, () => TestClient.connected(relay.port)));
  const drained = relay.drain();
  expect((await fetch(`http://127.0.0.1:${relay.metricsPort}/readyz`)).status).toBe(503);
  await drained;
  expect(await Promise.all(clients.map((client) => client.closed()))).toEqual([4200, 4200, 4200, 4200, 4200]);
  await using late = new TestClient(`ws://127.0.0.1:${relay.port}/app/appkey?protocol=7`);
  expect(await late.closed()).toBe(4200);
  expect((await post(relay.port, '/apps/101/events', { name: 'x', channel: 'o', data: '' }, bearer)).status).toBe(200);
});
