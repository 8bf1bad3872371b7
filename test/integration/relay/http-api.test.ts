// Long, because it is a list: every endpoint, what it answers and what it refuses.
import { createHash, createHmac } from 'node:crypto';
import type Pusher from 'pusher';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

/**
 * The HTTP API over two replicas, through the SDK where it has a call, and by hand where only bytes will do. Long, because it has a case
 * for every endpoint and they share the two replicas.
 */
let world: MemoryWorld;
let relay: Relay;
let other: Relay;
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const bearer = { authorization: `Bearer ${token.token}` };

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

type Answer = { readonly status: number; readonly text: string; readonly json: unknown };

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = bearer,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${other.port}/api/v1/apps/101${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
}
const refused = (status: number, code: string): object => ({ status, json: { error: { code } } });
const query = async (sdk: Pusher, path: string, params: Record<string, string> = {}): Promise<unknown> =>
  (await sdk.get({ path, params })).json();

describe('presence', () => {
  test('users, user_count and subscription_count over both replicas: a user counts once', async () => {
    await using ada = await TestClient.connected(relay.port);
    await using adaAgain = await TestClient.connected(other.port);
    await using bob = await TestClient.connected(other.port);
    await Promise.all([
      ada.join('presence-room', 'ada'),
      adaAgain.join('presence-room', 'ada'),
      bob.join('presence-room', 'bob'),
    ]);
    const sdk = serverSdk(relay.port);
    const { users } = (await query(sdk, '/channels/presence-room/users')) as { users: { id: string }[] };
    expect(users.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([{ id: 'ada' }, { id: 'bob' }]);
    const info = { info: 'user_count,subscription_count' };
    // What other replicas tell comes a moment after their sockets were answered.
    await eventually(async () => {
      const room = await query(sdk, '/channels/presence-room', info);
      expect(room).toEqual({ occupied: true, user_count: 2, subscription_count: 3 });
      return true;
    });
    expect(await query(sdk, '/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-room': { user_count: 2 } },
    });
    const trigger = await sdk.trigger(['presence-room', 'presence-empty', 'public'], 'x', '', info);
    expect(await trigger.json()).toEqual({
      channels: {
        'presence-room': { user_count: 2, subscription_count: 3 },
        'presence-empty': { user_count: 0, subscription_count: 0 },
        public: { subscription_count: 0 },
      },
    });
    const batch = await sdk.triggerBatch([
      { channel: 'presence-room', name: 'x', data: '', info: 'user_count' },
      { channel: 'public', name: 'x', data: '', info: 'user_count' },
    ]);
    expect(await batch.text()).toBe('{"batch":[{"user_count":2},{}]}');
  });

  test('users of a channel that has none: 400', async () => {
    expect(await call('GET', '/channels/public/users')).toMatchObject(refused(400, 'channel_not_presence'));
    expect((await call('GET', '/channels/presence-nobody/users')).text).toBe('{"users":[]}');
  });

  test.each([
    '/channels?info=user_count',
    '/channels?info=user_count&filter_by_prefix=private-',
    '/channels/public?info=user_count',
  ])('%s: 400', async (path) => {
    expect(await call('GET', path)).toMatchObject(refused(400, 'parameter_invalid'));
  });
});

describe('cache channels', () => {
  test('cache tells the last event and how long it stays; null when there is none', async () => {
    const sdk = serverSdk(relay.port);
    expect(await query(sdk, '/channels/cache-news', { info: 'cache' })).toEqual({ occupied: false, cache: null });
    await sdk.trigger('cache-news', 'published', { n: 1 });
    expect(await query(serverSdk(other.port), '/channels/cache-news', { info: 'cache' })).toEqual({
      occupied: false,
      cache: { data: '{"n":1}', ttl: 1_800 },
    });
    expect(await query(sdk, '/channels/news', { info: 'cache' })).toEqual({ occupied: false, cache: null });
  });
});

describe('encrypted channels', () => {
  const sealed = JSON.stringify({
    nonce: Buffer.alloc(24).toString('base64'),
    ciphertext: Buffer.alloc(16).toString('base64'),
  });
  const channel = 'private-encrypted-safe';

  test('what the SDK encrypts passes', async () => {
    await using client = await TestClient.connected(other.port);
    await client.subscribe(channel);
    expect(await (await serverSdk(relay.port).trigger(channel, 'told', { n: 1 })).text()).toBe('{}');
    const batch = await serverSdk(relay.port).triggerBatch([{ channel, name: 'batched', data: 'x' }]);
    expect(await batch.text()).toBe('{}');
    expect(JSON.parse(String((await client.event('told', channel)).data))).toEqual({
      nonce: expect.any(String) as string,
      ciphertext: expect.any(String) as string,
    });
  });

  test.each([
    ['plaintext', 'hello'],
    ['empty', ''],
    ['JSON', '{"n":1}'],
    ['a null', 'null'],
    ['more than the two', sealed.replace('}', ',"plain":"hello"}')],
    ['no base64', '{"nonce":"?","ciphertext":"?"}'],
    ['a short nonce', JSON.stringify({ nonce: 'AAAA', ciphertext: Buffer.alloc(16).toString('base64') })],
    ['a short ciphertext', JSON.stringify({ nonce: Buffer.alloc(24).toString('base64'), ciphertext: 'AAAA' })],
  ])('%s is refused, alone and in a batch', async (_, data) => {
    for (const name of [channel, 'private-encrypted-cache-safe']) {
      expect(await call('POST', '/events', { name: 'x', channel: name, data })).toMatchObject(
        refused(400, 'encrypted_payload_invalid'),
      );
      expect(await call('POST', '/batch_events', { batch: [{ name: 'x', channel: name, data }] })).toMatchObject(
        refused(400, 'encrypted_payload_invalid'),
      );
    }
  });

  test('never together with another channel; once is once', async () => {
    const event = { name: 'x', data: sealed };
    expect(await call('POST', '/events', { ...event, channels: ['public', channel] })).toMatchObject(
      refused(400, 'encrypted_channel_alone'),
    );
    expect((await call('POST', '/events', { ...event, channels: [channel, channel] })).text).toBe('{}');
  });

  test('an app without them: 403', async () => {
    await world.directory.setApp({
      channels: { ...DEFAULT_POLICY.channels, encrypted: false },
    });
    expect(await call('POST', '/events', { name: 'x', channel, data: sealed })).toMatchObject(
      refused(403, 'encryption_disabled'),
    );
  });
});

describe('users', () => {
  test('an event to a user reaches its sockets at every replica, and nobody else', async () => {
    await using ada = await TestClient.connected(relay.port);
    await using bob = await TestClient.connected(relay.port);
    await Promise.all([ada.signin({ id: 'ada' }), bob.signin({ id: 'bob' })]);
    await Promise.all(
      [
        [ada, '#server-to-user-ada'],
        [bob, '#server-to-user-bob'],
      ].map(async ([client, channel]) => {
        if (!(client instanceof TestClient) || typeof channel !== 'string') return;
        client.requestSubscription(channel);
        await client.event('pusher_internal:subscription_succeeded', channel);
      }),
    );
    await serverSdk(other.port).sendToUser('ada', 'hello', { n: 1 });
    await ada.event('hello', '#server-to-user-ada');
    await serverSdk(other.port).sendToUser('bob', 'after', {});
    await bob.event('after');
    expect(bob.received.map(({ event }) => event)).not.toContain('hello');
  });

  test('terminate closes the connections of a user at every replica with 4009, and only those', async () => {
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(other.port);
    await using bob = await TestClient.connected(other.port);
    await Promise.all([one.signin({ id: 'ada' }), two.signin({ id: 'ada' }), bob.signin({ id: 'bob' })]);
    const response = await serverSdk(relay.port).terminateUserConnections('ada');
    expect([response.status, await response.text()]).toEqual([200, '{}']);
    expect(await Promise.all([one.closed(), two.closed()])).toEqual([4009, 4009]);
    expect(one.received.at(-1)).toEqual({
      event: 'pusher:error',
      data: { code: 4009, message: 'You got disconnected by the app.' },
    });
    await bob.settled();
    expect(bob.closeCode).toBeUndefined();
  });

  test('terminate without the app in the path, as PyPI `pusher` 3.3.4 asks', async () => {
    await using ada = await TestClient.connected(relay.port);
    await ada.signin({ id: 'ada' });
    const ask = async (key: string, secret: string): Promise<Response> => {
      const path = '/users/ada/terminate_connections';
      const body = '{}';
      const md5 = createHash('md5').update(body).digest('hex');
      const signed = `auth_key=${key}&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${md5}`;
      const signature = createHmac('sha256', secret).update(`POST\n${path}\n${signed}`).digest('hex');
      return fetch(`http://127.0.0.1:${other.port}${path}?${signed}&auth_signature=${signature}`, {
        method: 'POST',
        body,
      });
    };
    expect((await ask('unknown', 'appsecret')).status).toBe(404);
    expect((await ask('appkey', 'wrong')).status).toBe(401);
    await ada.settled();
    expect(ada.closeCode).toBeUndefined();
    expect(await (await ask('appkey', 'appsecret')).text()).toBe('{}');
    expect(await ada.closed()).toBe(4009);
  });
});

describe('scopes', () => {
  const event = { name: 'x', channel: 'orders', data: '' };
  const endpoints: readonly (readonly [scope: string, method: string, path: string, body?: unknown])[] = [
    ['events:publish', 'POST', '/events', event],
    ['events:batch', 'POST', '/batch_events', { batch: [event] }],
    ['channels:read', 'GET', '/channels'],
    ['channels:read', 'GET', '/channels/orders'],
    ['presence:read', 'GET', '/channels/presence-x/users'],
    ['connections:manage', 'POST', '/users/ada/terminate_connections', {}],
    ['channels:manage', 'POST', '/auth/channel', { socket_id: '1.2', channel_name: 'private-x' }],
    ['channels:manage', 'POST', '/auth/user', { socket_id: '1.2', user_data: { id: 'ada' } }],
    ['connections:read', 'GET', '/connections'],
    ['connections:manage', 'DELETE', '/connections/1.2'],
    ['analytics:read', 'GET', '/analytics'],
    ['encryption:manage', 'GET', '/encryption/keys'],
    ['encryption:manage', 'PUT', '/encryption/keys/ada', {}],
    ['encryption:manage', 'GET', '/encryption/keys/ada'],
    ['encryption:manage', 'DELETE', '/encryption/keys/ada'],
  ];

  test.each<[string, string, string, unknown]>(
    endpoints.map(([scope, method, path, body]) => [scope, method, path, body]),
  )('%s opens %s %s, and nothing else does', async (scope, method, path, body) => {
    const others = [...new Set(endpoints.map(([name]) => name))].filter((name) => name !== scope);
    await world.directory.setToken(token.sha256, { scopes: others });
    expect(await call(method, path, body)).toMatchObject({
      status: 403,
      json: { error: { code: 'scope_missing', message: `The token lacks the scope ${scope}.` } },
    });
    for (const scopes of [[scope], [`${scope.split(':')[0]}:*`], null]) {
      await world.directory.setToken(token.sha256, { scopes });
      expect((await call(method, path, body)).status).not.toBe(403);
    }
    const secret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };
    await world.directory.setToken(token.sha256, { scopes: [] });
    expect((await call(method, path, body, secret)).status).not.toBe(403);
  });
});

describe('signing for backends', () => {
  test('what is signed for a channel and for a user is believed at the socket, from JSON and from a form', async () => {
    await using client = await TestClient.connected(relay.port);
    const asked = {
      socket_id: client.socketId,
      channel_name: 'presence-x',
      channel_data: { user_id: 'ada', user_info: { n: 1 } },
    };
    const { json: channel } = await call('POST', '/auth/channel', asked);
    client.send({ event: 'pusher:subscribe', data: { channel: 'presence-x', ...(channel as object) } });
    await client.event('pusher_internal:subscription_succeeded', 'presence-x');
    const form = new URLSearchParams({ socket_id: client.socketId, channel_name: 'private-x' }).toString();
    const { json: second } = await call('POST', '/auth/channel', form, {
      ...bearer,
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
    });
    client.send({ event: 'pusher:subscribe', data: { channel: 'private-x', ...(second as object) } });
    await client.event('pusher_internal:subscription_succeeded', 'private-x');
    const { json: user } = await call('POST', '/auth/user', { socket_id: client.socketId, user_data: '{"id":"ada"}' });
    client.send({ event: 'pusher:signin', data: user });
    await client.event('pusher:signin_success');
  });

  test('byte for byte what the SDK signs, for who comes with the secret; for a token with its name behind', async () => {
    const sdk = serverSdk(relay.port);
    const member = { user_id: 'ada' };
    const secret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };
    const asked: [string, object, object][] = [
      [
        '/auth/channel',
        { channel_name: 'presence-x', channel_data: member },
        sdk.authorizeChannel('1.2', 'presence-x', member),
      ],
      [
        '/auth/channel',
        { channel_name: 'private-encrypted-x' },
        { auth: sdk.authorizeChannel('1.2', 'private-encrypted-x').auth },
      ],
      // Who has signed in at the socket needs no channel_data.
      ['/auth/channel', { channel_name: 'presence-x' }, sdk.authorizeChannel('1.2', 'presence-x')],
      ['/auth/user', { user_data: { id: 'ada' } }, sdk.authenticateUser('1.2', { id: 'ada' })],
    ];
    for (const [path, body, signed] of asked) {
      expect((await call('POST', path, { socket_id: '1.2', ...body }, secret)).json).toEqual(signed);
      const { json } = await call('POST', path, { socket_id: '1.2', ...body });
      expect(json).toMatchObject({ auth: expect.stringMatching(/^appkey:[0-9a-f]{64}\.token00001$/) as string });
    }
  });

  test.each<[string, string, unknown, string]>([
    ['/auth/channel', 'a public channel', { socket_id: '1.2', channel_name: 'public' }, 'channel_without_auth'],
    [
      '/auth/channel',
      'a user channel',
      { socket_id: '1.2', channel_name: '#server-to-user-a' },
      'channel_without_auth',
    ],
    ['/auth/channel', 'an invalid channel', { socket_id: '1.2', channel_name: 'private-?' }, 'channel_invalid'],
    ['/auth/channel', 'no socket id', { socket_id: '1', channel_name: 'private-x' }, 'body_invalid'],
    [
      '/auth/channel',
      'a member without id',
      { socket_id: '1.2', channel_name: 'presence-x', channel_data: '{}' },
      'body_invalid',
    ],
    ['/auth/user', 'no user', { socket_id: '1.2', user_data: '{}' }, 'body_invalid'],
    ['/auth/user', 'no JSON', { socket_id: '1.2', user_data: 'ada' }, 'body_invalid'],
    ['/auth/user', 'a number as id', { socket_id: '1.2', user_data: '{"id":7}' }, 'body_invalid'],
    [
      '/auth/user',
      'too deep',
      `{"socket_id":"1.2","user_data":${'{"toJSON":'.repeat(20_000)}1${'}'.repeat(20_001)}`,
      'body_invalid',
    ],
    ['/auth/user', 'nothing', '', 'body_invalid'],
  ])('%s refuses %s', async (path, _, body, code) => {
    expect(await call('POST', path, body)).toMatchObject(refused(400, code));
  });
});

describe('mistakes are named', () => {
  test.each<[string, string, string, unknown, string]>([
    ['what is missing', 'POST', '/events', { channel: 'x', data: '' }, 'name: is required: expected string'],
    [
      'what is missing in a batch',
      'POST',
      '/batch_events',
      { batch: [{ name: 'a', data: '' }] },
      'batch[0].channel: is required: expected string',
    ],
    [
      'a misspelt filter, which would show every connection',
      'GET',
      '/connections?chanel=x',
      undefined,
      'chanel: unknown parameter. Known ones here: channel, user, limit, cursor',
    ],
    ['a number that is none', 'GET', '/connections?limit=all', undefined, 'limit: expected number'],
    [
      'a misspelt time',
      'GET',
      '/analytics?since=2026-11-22T18:00:00Z',
      undefined,
      'since: unknown parameter. Known ones here: granularity, from, to',
    ],
  ])('%s', async (_, method, path, body, message) => {
    expect(await call(method, path, body)).toMatchObject({ status: 400, json: { error: { message } } });
  });

  test("the signature's own parameters are not taken for mistakes", async () => {
    const sdk = serverSdk(relay.port);
    const signed = sdk.createSignedQueryString({ method: 'GET', path: '/api/v1/apps/101/connections', params: {} });
    expect(await call('GET', `/connections?${signed}`, undefined, {})).toMatchObject({
      status: 200,
      json: { connections: [] },
    });
  });
});

describe('public keys', () => {
  const key = Buffer.from('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a', 'hex').toString('base64');

  test('registered at one replica, found at the other, replaced, listed, removed; apart by app', async () => {
    const put = await call('PUT', '/encryption/keys/ada', { public_key: key });
    expect(put).toMatchObject({ status: 200, json: { participant: 'ada', public_key: key } });
    const found = await fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/101/encryption/keys/ada`, {
      headers: bearer,
    });
    expect(await found.json()).toEqual(put.json);
    await world.directory.setApp({ appId: '102', keys: [{ id: 'k', key: 'second', secret: 's' }] });
    const elsewhere = await fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/102/encryption/keys/ada`, {
      headers: { 'x-relay-key': 'second', 'x-relay-secret': 's' },
    });
    expect(elsewhere.status).toBe(404);
    expect(await call('GET', '/encryption/keys')).toMatchObject({ json: { keys: [{ participant: 'ada' }] } });
    expect(await call('DELETE', '/encryption/keys/ada')).toMatchObject({ status: 204, text: '' });
    expect(await call('DELETE', '/encryption/keys/ada')).toMatchObject(refused(404, 'public_key_unknown'));
    expect(await call('GET', '/encryption/keys/ada')).toMatchObject(refused(404, 'public_key_unknown'));
  });

  // RFC 7748 and https://cr.yp.to/ecdh.html: 0, 1, two points of order 8, p−1, p, p+1.
  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('a point of low order is refused: %s', async (hex) => {
    expect(
      await call('PUT', '/encryption/keys/ada', { public_key: Buffer.from(hex, 'hex').toString('base64') }),
    ).toMatchObject(refused(400, 'public_key_invalid'));
  });

  test.each(['', 'AAAA', 'not base64', key.replace('=', ''), `${key}\n`])(
    'what is no key is refused: %j',
    async (text) => {
      expect(await call('PUT', '/encryption/keys/ada', { public_key: text })).toMatchObject(
        refused(400, 'public_key_invalid'),
      );
    },
  );

  test('while the store is away: 503', async () => {
    world.publicKeys.goAway();
    expect(await call('GET', '/encryption/keys')).toMatchObject(refused(503, 'store_away'));
    expect(await call('PUT', '/encryption/keys/ada', { public_key: key })).toMatchObject(refused(503, 'store_away'));
  });
});

describe('analytics', () => {
  type Points = { complete: boolean; points: Record<string, number | string>[] };
  const now = (): Promise<Points> => call('GET', '/analytics?granularity=day').then(({ json }) => json as Points);

  test('connections, messages and calls of both replicas', async () => {
    await using one = await TestClient.connected(relay.port);
    await using beside = await TestClient.connected(relay.port);
    {
      await using two = await TestClient.connected(other.port);
      await Promise.all([one, beside, two].map((client) => client.subscribe('orders')));
      await serverSdk(relay.port).trigger('orders', 'x', '');
      await Promise.all([one, beside, two].map((client) => client.event('x')));
    }
    // The other replica's numbers arrive with its next write.
    await eventually(
      async () => {
        const { points, complete } = await now();
        expect(complete).toBe(true);
        expect(points).toHaveLength(31);
        expect(points.at(-1)).toMatchObject({
          connections_peak: 3,
          connections_opened: 3,
          messages_in: 3,
          messages_out: 3,
        });
        expect(points.at(-1)?.['api_calls']).toBeGreaterThanOrEqual(2);
        expect(points[0]).toMatchObject({ connections_peak: 0, api_calls: 0 });
        return true;
      },
      { timeout: 15_000 },
    );
  });

  test.each([
    ['?granularity=year', 'granularity'],
    ['?from=yesterday', 'from'],
    ['?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['?granularity=minute&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z', 'from'],
  ])('%s: 400 that names it', async (search, name) => {
    const answer = await call('GET', `/analytics${search}`);
    expect(answer).toMatchObject(refused(400, 'parameter_invalid'));
    expect(answer.text).toContain(`${name}:`);
  });
});
