import { afterEach, beforeEach, expect, test } from 'vitest';
import { serverSdk } from '../sdks.ts';
import { TestClient } from '../test-client.ts';
import { ApiReplicas, bearer, refused } from './api-replicas.ts';

// What backends have signed for their browsers.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

test('what is signed for a channel and for a user is believed at the socket, from JSON and from a form', async () => {
  await using client = await TestClient.connected(api.relay.port);
  const asked = {
    socket_id: client.socketId,
    channel_name: 'presence-x',
    channel_data: { user_id: 'ada', user_info: { n: 1 } },
  };
  const { json: channel } = await api.call('POST', '/auth/channel', asked);
  client.send({ event: 'pusher:subscribe', data: { channel: 'presence-x', ...(channel as object) } });
  await client.event('pusher_internal:subscription_succeeded', 'presence-x');
  const form = new URLSearchParams({ socket_id: client.socketId, channel_name: 'private-x' }).toString();
  const { json: second } = await api.call('POST', '/auth/channel', form, {
    ...bearer,
    'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
  });
  client.send({ event: 'pusher:subscribe', data: { channel: 'private-x', ...(second as object) } });
  await client.event('pusher_internal:subscription_succeeded', 'private-x');
  const { json: user } = await api.call('POST', '/auth/user', {
    socket_id: client.socketId,
    user_data: '{"id":"ada"}',
  });
  client.send({ event: 'pusher:signin', data: user });
  await client.event('pusher:signin_success');
});

test('byte for byte what the SDK signs, for who comes with the secret; for a token with its name behind', async () => {
  const sdk = serverSdk(api.relay.port);
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
    expect((await api.call('POST', path, { socket_id: '1.2', ...body }, secret)).json).toEqual(signed);
    const { json } = await api.call('POST', path, { socket_id: '1.2', ...body });
    expect(json).toMatchObject({ auth: expect.stringMatching(/^appkey:[0-9a-f]{64}\.token00001$/) as string });
  }
});

test('JSON that is called a form, as curl -d does without a header, is read as JSON', async () => {
  const headers = { ...bearer, 'content-type': 'application/x-www-form-urlencoded' };
  const body = { socket_id: '1.2', channel_name: 'private-x' };
  expect(await api.call('POST', '/auth/channel', body, headers)).toMatchObject({ status: 200 });
});

test.each<[string, string, unknown, string]>([
  ['/auth/channel', 'a public channel', { socket_id: '1.2', channel_name: 'public' }, 'channel_without_auth'],
  ['/auth/channel', 'a user channel', { socket_id: '1.2', channel_name: '#server-to-user-a' }, 'channel_without_auth'],
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
  expect(await api.call('POST', path, body)).toMatchObject(refused(400, code));
});
