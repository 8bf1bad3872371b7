import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { ScanRules } from '#crds/secret-scanning.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { TestClient } from './test-client.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

const SECRET = 'ada@example.com';
const DATA = JSON.stringify({ user: { mail: SECRET }, n: 1.0 });
const REDACTED = JSON.stringify({ user: { mail: '[REDACTED]' }, n: 1.0 });

let world: MemoryWorld;
let metrics: Registry;
let logged: string[];
let relay: Relay;
let other: Relay;

beforeEach(async () => {
  world = new MemoryWorld();
  metrics = new Registry();
  logged = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  relay = await world.relay({}, { metricsRegistry: metrics, log });
  other = await world.relay();
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const rules = (secretScanning: ScanRules): Promise<void> => world.directory.setApp({ secretScanning });

async function post(path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`http://127.0.0.1:${relay.port}/apps/101/${path}`, {
    method: 'POST',
    headers: { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

const found = async (): Promise<unknown> => {
  const metric = await metrics.getSingleMetric('relay_secrets_found_total')?.get();
  return metric?.values.map(({ labels, value }) => ({ ...labels, value }));
};
/** Data as it came, not parsed. */
const texts = (client: TestClient, event: string): unknown[] =>
  client.received.filter((frame) => frame.event === event).map(({ data }) => data);

/** What people are told of: here in one place, with detector and place, and nowhere the match. */
async function expectTold(mode: string, payload: string, place: string): Promise<void> {
  expect(await found()).toEqual([{ detector: 'email', mode, value: 1 }]);
  const detail = { detector: 'email', mode, payload, place, count: 1 };
  expect(world.activity.entries).toEqual([{ appId: '101', type: 'secret_found', detail }]);
  expect(logged.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ appId: '101', ...detail }]);
  expect(logged.join('') + JSON.stringify(world.activity.entries)).not.toContain(SECRET);
}

describe.each(['Off', 'Warn', 'Redact', 'Reject'] as const)('%s', (mode) => {
  const set = (): Promise<void> => rules(mode === 'Off' ? { cardNumber: 'Reject' } : { email: mode });
  const delivered = mode === 'Redact' ? REDACTED : DATA;

  test('POST events', async () => {
    await set();
    await using near = await TestClient.connected(relay.port);
    await using far = await TestClient.connected(other.port);
    await near.subscribe('room');
    await far.subscribe('room');
    const answer = await post('events', { name: 'e', channel: 'room', data: DATA });
    await post('events', { name: 'last', channel: 'room', data: '' });
    for (const client of [near, far]) {
      await client.event('last');
      expect(texts(client, 'e')).toEqual(mode === 'Reject' ? [] : [delivered]);
    }
    if (mode === 'Off') return expect(await found()).toEqual([]);
    expect(answer).toEqual(
      mode === 'Reject'
        ? {
            status: 422,
            text: '{"error":{"code":"secret_found","message":"Found email in data at /user/mail."}}',
          }
        : { status: 200, text: '{}' },
    );
    await expectTold(mode, 'event', '/user/mail');
  });

  test('POST batch_events: all or none', async () => {
    await set();
    await using client = await TestClient.connected(relay.port);
    await client.subscribe('room');
    const event = (name: string, data: string) => ({ name, channel: 'room', data });
    const answer = await post('batch_events', { batch: [event('a', '1'), event('b', DATA), event('c', SECRET)] });
    await post('events', { name: 'last', channel: 'room', data: '' });
    await client.event('last');
    const secret = mode === 'Redact' ? '[REDACTED]' : SECRET;
    const all = client.received.filter(({ channel, event: name }) => channel === 'room' && /^[abc]$/.test(name));
    expect(all.map(({ data }) => data)).toEqual(mode === 'Reject' ? [] : ['1', delivered, secret]);
    if (mode !== 'Reject') return expect(answer).toEqual({ status: 200, text: '{}' });
    expect(answer.status).toBe(422);
    expect(answer.text).toContain('Found email in batch[1].data at /user/mail.');
  });

  test('what a cache channel keeps', async () => {
    await set();
    await post('events', { name: 'e', channel: 'cache-room', data: DATA });
    await using client = await TestClient.connected(other.port);
    await client.subscribe('cache-room');
    await client.event(mode === 'Reject' ? 'pusher:cache_miss' : 'e');
    expect(texts(client, 'e')).toEqual(mode === 'Reject' ? [] : [delivered]);
  });

  test('client events, and what webhooks are told of them', async () => {
    await using endpoint = await WebhookEndpoint.start();
    const webhook = { name: 'w', url: endpoint.url, channelPrefix: null, batching: false, headers: null };
    await world.directory.setApp({
      webhooks: [{ ...webhook, events: ['client_event'] }],
      ...(mode === 'Off' ? {} : { secretScanning: { email: mode } }),
    });
    await using sender = await TestClient.connected(relay.port);
    await using receiver = await TestClient.connected(other.port);
    await sender.subscribe('private-room');
    await receiver.subscribe('private-room');
    sender.send({ event: 'client-e', channel: 'private-room', data: { user: { mail: SECRET }, n: 1 } });
    sender.send({ event: 'client-last', channel: 'private-room', data: {} });
    await receiver.event('client-last');
    await eventually(() => endpoint.posts.some(({ body }) => body.includes('client-last')));
    const told = endpoint.posts
      .flatMap(({ events }) => events)
      .filter((event) => JSON.stringify(event).includes('client-e'));
    expect(texts(receiver, 'client-e')).toEqual(mode === 'Reject' ? [] : [delivered]);
    expect(told).toMatchObject(mode === 'Reject' ? [] : [{ data: delivered }]);
    expect(texts(sender, 'pusher:error')).toEqual(
      mode === 'Reject' ? [{ code: null, message: 'Client event rejected: found email in data at /user/mail' }] : [],
    );
    if (mode !== 'Off') await expectTold(mode, 'client_event', '/user/mail');
  });

  test('user_info of a presence channel', async () => {
    await set();
    await using bob = await TestClient.connected(other.port);
    await bob.join('presence-room', 'bob');
    await using ada = await TestClient.connected(relay.port);
    // The id itself says who it is: it stays.
    ada.requestSubscription('presence-room', { user_id: SECRET, user_info: { mail: SECRET } });
    if (mode === 'Reject') {
      const { data } = await ada.event('pusher:subscription_error');
      expect(JSON.parse(String(data))).toEqual({
        type: 'SecretFound',
        error: 'Found email in user_info at /mail',
        status: 422,
      });
      await bob.settled();
      expect(bob.all('pusher_internal:member_added')).toEqual([]);
    } else {
      const member = { mail: mode === 'Redact' ? '[REDACTED]' : SECRET };
      const succeeded = await ada.event('pusher_internal:subscription_succeeded');
      expect(JSON.parse(String(succeeded.data))).toMatchObject({ presence: { hash: { [SECRET]: member } } });
      await bob.event('pusher_internal:member_added');
      expect(bob.all('pusher_internal:member_added')).toEqual([{ user_id: SECRET, user_info: member }]);
    }
    if (mode !== 'Off') await expectToldPlace(mode);
  });

  test('user_info of a sign-in', async () => {
    await set();
    await using ada = await TestClient.connected(relay.port);
    ada.requestSignin({ id: 'ada', user_info: { mail: SECRET } });
    if (mode === 'Reject') return expect(await ada.closed()).toBe(4009);
    await ada.event('pusher:signin_success');
    ada.requestSubscription('presence-room');
    const member = { mail: mode === 'Redact' ? '[REDACTED]' : SECRET };
    const succeeded = await ada.event('pusher_internal:subscription_succeeded');
    return expect(JSON.parse(String(succeeded.data))).toMatchObject({ presence: { hash: { ada: member } } });
  });
});

const expectToldPlace = (mode: string): Promise<void> => expectTold(mode, 'user_info', '/mail');

test('a sign-in that is refused for more than a close frame has room for', async () => {
  await rules({ email: 'Reject', cardNumber: 'Reject' });
  await using ada = await TestClient.connected(relay.port);
  const nested = { ['k'.repeat(40)]: { ['k'.repeat(40)]: { mail: SECRET, card: '4111 1111 1111 1111' } } };
  ada.requestSignin({ id: 'ada', user_info: nested });
  expect(await ada.closed()).toBe(4009);
  const told = JSON.stringify((await ada.event('pusher:error')).data);
  expect(told).toContain('email in user_info at /k');
  expect(told).toContain('cardNumber in user_info at /k');
});

test('encrypted channels are passed by', async () => {
  await rules({ email: 'Reject', cardNumber: 'Reject' });
  const sealed = JSON.stringify({
    nonce: Buffer.alloc(24).toString('base64'),
    ciphertext: `AAAA4111111111111111AAAA`,
  });
  const answer = await post('events', { name: 'e', channel: 'private-encrypted-room', data: sealed });
  expect(answer).toEqual({ status: 200, text: '{}' });
  expect(await found()).toEqual([]);
});

test('a rule that comes later holds for sockets that are open', async () => {
  await world.directory.setApp();
  await using client = await TestClient.connected(relay.port);
  await client.subscribe('private-room');
  await using receiver = await TestClient.connected(relay.port);
  await receiver.subscribe('private-room');
  client.send({ event: 'client-e', channel: 'private-room', data: SECRET });
  await receiver.event('client-e');
  await rules({ email: 'Redact' });
  client.send({ event: 'client-f', channel: 'private-room', data: SECRET });
  expect((await receiver.event('client-f')).data).toBe('[REDACTED]');
});

test('each detector by its own mode, in one event', async () => {
  await rules({ email: 'Warn', cardNumber: 'Redact' });
  await using client = await TestClient.connected(relay.port);
  await client.subscribe('room');
  await post('events', { name: 'e', channel: 'room', data: `${SECRET} 4111 1111 1111 1111` });
  expect((await client.event('e')).data).toBe(`${SECRET} [REDACTED]`);
  expect(await found()).toEqual([
    { detector: 'email', mode: 'Warn', value: 1 },
    { detector: 'cardNumber', mode: 'Redact', value: 1 },
  ]);
});

test('many findings: all are counted, one is told', async () => {
  await rules({ email: 'Warn' });
  for (let at = 0; at < 20; at += 1) await post('events', { name: 'e', channel: 'room', data: SECRET });
  expect(await found()).toEqual([{ detector: 'email', mode: 'Warn', value: 20 }]);
  expect(world.activity.entries).toHaveLength(1);
  expect(logged).toHaveLength(1);
});
