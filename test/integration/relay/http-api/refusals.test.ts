import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serverSdk } from '../sdks.ts';
import { ApiReplicas, token } from './api-replicas.ts';

// What a token lacks is named, and what a request gets wrong.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

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
    await api.world.directory.setToken(token.sha256, { scopes: others });
    expect(await api.call(method, path, body)).toMatchObject({
      status: 403,
      json: { error: { code: 'scope_missing', message: `The token lacks the scope ${scope}.` } },
    });
    for (const scopes of [[scope], [`${scope.split(':')[0]}:*`], null]) {
      await api.world.directory.setToken(token.sha256, { scopes });
      expect((await api.call(method, path, body)).status).not.toBe(403);
    }
    const secret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };
    await api.world.directory.setToken(token.sha256, { scopes: [] });
    expect((await api.call(method, path, body, secret)).status).not.toBe(403);
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
    expect(await api.call(method, path, body)).toMatchObject({ status: 400, json: { error: { message } } });
  });

  test("the signature's own parameters are not taken for mistakes", async () => {
    const sdk = serverSdk(api.relay.port);
    const signed = sdk.createSignedQueryString({ method: 'GET', path: '/api/v1/apps/101/connections', params: {} });
    expect(await api.call('GET', `/connections?${signed}`, undefined, {})).toMatchObject({
      status: 200,
      json: { connections: [] },
    });
  });
});
