import { randomBytes } from 'node:crypto';
import type Pusher from 'pusher';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { appEntryKey, tokenEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { eventually } from '#test/parts/eventually.ts';
import type { RedisServer } from '#test/parts/redis.ts';
import type { RunningOperator } from '../directory/installation.ts';
import {
  appChange,
  isReady,
  readyz,
  serverSdk,
  startRelayInstallation,
  type RelayInstallation,
  type RelayProcess,
} from './relay-installation.ts';
import { TestClient } from './test-client.ts';

/** Two relay processes as they are deployed, and what each does when the other, Redis or itself goes away. */
let installation: RelayInstallation;
let redis: RedisServer;
let operator: RunningOperator;
const launched = (id: string): Promise<RelayProcess> => installation.launch(id);
const sdk = (relay: RelayProcess, appId: string, key: string): Pusher =>
  serverSdk(relay, { appId, key, secret: 'appsecret' });
const change = (appId: string, key: string, connections: number | null = null): EntryChange =>
  appChange({ appId, key, secret: 'appsecret', limits: { connections } });
const token = mintToken('Live', randomBytes(MINT_BYTES));

const publish = ({ port }: RelayProcess, appId: string, event: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/api/v1/apps/${appId}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token.token}` },
    body: JSON.stringify({ name: event, channel: 'orders', data: '{}' }),
  });

let one: RelayProcess;
let two: RelayProcess;
beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  ({ redis, operator } = installation);
  await operator.publish(change('101', 'appkey'), {
    key: tokenEntryKey(token.sha256),
    body: { id: token.id, appId: '101', namespace: 'shop', name: 'ci', environment: 'Live', expiresAt: null },
  });
  [one, two] = (await installation.relays('relay-1', 'relay-2')) as [RelayProcess, RelayProcess];
});
afterAll(() => installation[Symbol.asyncDispose]());

describe('two relays and one directory', () => {
  test('an event crosses, counts agree', async () => {
    await using client = await TestClient.connected(one.port);
    await client.subscribe('orders');
    expect(await (await publish(two, '101', 'hello')).text()).toBe('{}');
    await client.event('hello', 'orders');
    const channel = await sdk(two, '101', 'appkey').get({
      path: '/channels/orders',
      params: { info: 'subscription_count' },
    });
    expect(await channel.json()).toEqual({ occupied: true, subscription_count: 1 });
  });

  test('when a deletion is enforced, its sockets are closed (4001) and nothing of it works', async () => {
    await operator.enforcedByAll(await operator.publish(change('102', 'second')));
    const clients = await Promise.all([
      TestClient.connected(one.port, 'second'),
      TestClient.connected(two.port, 'second'),
    ]);
    const revision = await operator.publish({ key: appEntryKey('102'), body: null });
    await operator.enforcedByAll(revision);
    expect(await Promise.all(clients.map((client) => client.closed()))).toEqual([4001, 4001]);
    await expect(sdk(one, '102', 'second').trigger('orders', 'x', '')).rejects.toMatchObject({ status: 404 });
  });

  test('the connection quota holds over both', async () => {
    await operator.enforcedByAll(await operator.publish(change('103', 'third', 2)));
    await using _first = await TestClient.connected(one.port, 'third');
    await using _second = await TestClient.connected(two.port, 'third');
    await using third = new TestClient(`ws://127.0.0.1:${one.port}/app/third?protocol=7`);
    expect(await third.closed()).toBe(4004);
  });

  test('Redis is killed: local events still arrive and say so; Redis is back: everything crosses again', async () => {
    await using here = await TestClient.connected(one.port);
    await using there = await TestClient.connected(two.port);
    await Promise.all([here.subscribe('orders'), there.subscribe('orders')]);
    await redis.kill9();
    const reply = await eventually(async () => {
      const response = await publish(one, '101', 'alone');
      return response.headers.get('x-relay-delivery') === 'local' && response;
    });
    expect(reply.status).toBe(200);
    await here.event('alone');
    // A subscription made while Redis is away succeeds, and is made good afterwards.
    await there.subscribe('news');
    await redis.start();
    for (const channel of ['orders', 'news']) {
      await eventually(
        async () => {
          await sdk(one, '101', 'appkey').trigger(channel, `back-${channel}`, '');
          return there.received.some(({ event }) => event === `back-${channel}`);
        },
        { timeout: 20_000 },
      );
    }
    expect([await readyz(one), await readyz(two)]).toEqual([200, 200]);
  });

  test('a revoked token: 401 at both as soon as it is enforced', async () => {
    await operator.enforcedByAll(await operator.publish({ key: tokenEntryKey(token.sha256), body: null }));
    expect([(await publish(one, '101', 'x')).status, (await publish(two, '101', 'x')).status]).toEqual([401, 401]);
  });
});

describe('the life of a relay process', () => {
  test('SIGTERM: not ready, sockets are told to reconnect (4200), exit 0, and nobody waits for it', async () => {
    const third = await launched('relay-3');
    await isReady(third);
    const clients = await Promise.all(Array.from({ length: 4 }, () => TestClient.connected(third.port)));
    third.process.signal('SIGTERM');
    await eventually(async () => (await readyz(third)) === 503);
    expect(await Promise.all(clients.map((client) => client.closed()))).toEqual([4200, 4200, 4200, 4200]);
    expect(await third.process.exited).toMatchObject({ code: 0 });
    await operator.enforcedByAll(await operator.publish(change('104', 'fourth')), 2_000);
  });

  test('kill -9: its subscriptions are not counted after 10 s', async () => {
    const fourth = await launched('relay-4');
    await isReady(fourth);
    await using client = await TestClient.connected(fourth.port);
    await client.subscribe('ghosts');
    const occupied = async (): Promise<boolean> => {
      const response = await sdk(one, '101', 'appkey').get({ path: '/channels/ghosts' });
      return ((await response.json()) as { occupied: boolean }).occupied;
    };
    await eventually(occupied);
    fourth.process.signal('SIGKILL');
    await eventually(async () => !(await occupied()), { timeout: 10_000 });
  });

  test('started without Redis: lives, is not ready, says so once; then recovers by itself', async () => {
    await redis.kill9();
    const fifth = await launched('relay-5');
    await eventually(async () => (await fetch(`http://127.0.0.1:${fifth.metricsPort}/livez`)).status === 200);
    expect(await readyz(fifth)).toBe(503);
    await using client = new TestClient(`ws://127.0.0.1:${fifth.port}/app/appkey?protocol=7`);
    expect(await client.closed()).toBe(4100);
    await redis.start();
    await isReady(fifth);
    const outages = fifth.process
      .output()
      .split('\n')
      .filter((line) => line.includes('Redis cannot be reached'));
    expect(outages).toHaveLength(1);
    await fifth.process.stop();
  });
});
