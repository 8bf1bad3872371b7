import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { serverSdk } from '../sdks.ts';
import { TestClient } from '../test-client.ts';
import { ApiReplicas, query, refused } from './api-replicas.ts';

// What is told of channels, through the SDK where it has a call and by hand where only bytes will do.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('presence', () => {
  test('users, user_count and subscription_count over both replicas: a user counts once', async () => {
    await using ada = await TestClient.connected(api.relay.port);
    await using adaAgain = await TestClient.connected(api.other.port);
    await using bob = await TestClient.connected(api.other.port);
    await Promise.all([
      ada.join('presence-room', 'ada'),
      adaAgain.join('presence-room', 'ada'),
      bob.join('presence-room', 'bob'),
    ]);
    const sdk = serverSdk(api.relay.port);
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
    expect(await api.call('GET', '/channels/public/users')).toMatchObject(refused(400, 'channel_not_presence'));
    expect((await api.call('GET', '/channels/presence-nobody/users')).text).toBe('{"users":[]}');
  });

  test.each([
    '/channels?info=user_count',
    '/channels?info=user_count&filter_by_prefix=private-',
    '/channels/public?info=user_count',
  ])('%s: 400', async (path) => {
    expect(await api.call('GET', path)).toMatchObject(refused(400, 'parameter_invalid'));
  });
});

describe('cache channels', () => {
  test('cache tells the last event and how long it stays; null when there is none', async () => {
    const sdk = serverSdk(api.relay.port);
    expect(await query(sdk, '/channels/cache-news', { info: 'cache' })).toEqual({ occupied: false, cache: null });
    await sdk.trigger('cache-news', 'published', { n: 1 });
    expect(await query(serverSdk(api.other.port), '/channels/cache-news', { info: 'cache' })).toEqual({
      occupied: false,
      cache: { data: '{"n":1}', ttl: 1_800 },
    });
    expect(await query(sdk, '/channels/news', { info: 'cache' })).toEqual({ occupied: false, cache: null });
  });
});
