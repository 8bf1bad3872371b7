import { createHash, createHmac } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serverSdk } from '../sdks.ts';
import { TestClient } from '../test-client.ts';
import { ApiReplicas } from './api-replicas.ts';

// Events to users, and the end of their connections.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

test('an event to a user reaches its sockets at every replica, and nobody else', async () => {
  await using ada = await TestClient.connected(api.relay.port);
  await using bob = await TestClient.connected(api.relay.port);
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
  await serverSdk(api.other.port).sendToUser('ada', 'hello', { n: 1 });
  await ada.event('hello', '#server-to-user-ada');
  await serverSdk(api.other.port).sendToUser('bob', 'after', {});
  await bob.event('after');
  expect(bob.received.map(({ event }) => event)).not.toContain('hello');
});

test('terminate closes the connections of a user at every replica with 4009, and only those', async () => {
  await using one = await TestClient.connected(api.relay.port);
  await using two = await TestClient.connected(api.other.port);
  await using bob = await TestClient.connected(api.other.port);
  await Promise.all([one.signin({ id: 'ada' }), two.signin({ id: 'ada' }), bob.signin({ id: 'bob' })]);
  const response = await serverSdk(api.relay.port).terminateUserConnections('ada');
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
  await using ada = await TestClient.connected(api.relay.port);
  await ada.signin({ id: 'ada' });
  const ask = async (key: string, secret: string): Promise<Response> => {
    const path = '/users/ada/terminate_connections';
    const body = '{}';
    const md5 = createHash('md5').update(body).digest('hex');
    const signed = `auth_key=${key}&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${md5}`;
    const signature = createHmac('sha256', secret).update(`POST\n${path}\n${signed}`).digest('hex');
    return fetch(`http://127.0.0.1:${api.other.port}${path}?${signed}&auth_signature=${signature}`, {
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
