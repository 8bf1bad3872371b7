import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { webhookHeadersField, WEBHOOK_EVENTS, type AppEntryBody } from '#crds/directory/entry-body.ts';
import { seal } from '#crds/sealed.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { webhookKeys } from '#relay/redis/webhook-keys.ts';
import { selfSigned } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { keyring } from '../directory/installation.ts';
import {
  appChange,
  isReady,
  metricsOf,
  startRelayInstallation,
  type AppFields,
  type RelayInstallation,
  type RelayProcess,
} from './relay-installation.ts';
import { TestClient } from './test-client.ts';
import { readBySdk, WebhookEndpoint } from './webhook-endpoint.ts';

/** Webhooks as they are deployed: relay processes, real Redis with the documented users, endpoints over HTTP and HTTPS. */
const stack = new AsyncDisposableStack();
let installation: RelayInstallation;
let trusted: WebhookEndpoint;
let env: Record<string, string>;
const relays: RelayProcess[] = [];

beforeAll(async () => {
  installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  const certificate = selfSigned('IP:127.0.0.1');
  const directory = stack.use(await temporaryDirectory('webhooks'));
  const authority = join(directory.path, 'ca.pem');
  await writeFile(authority, certificate.cert);
  trusted = stack.use(await WebhookEndpoint.start({ certificate }));
  env = { RELAY_WEBHOOK_ALLOW: '127.0.0.1/32', NODE_EXTRA_CA_CERTS: authority, LOG_LEVEL: 'trace' };
  await startRelay('one');
  await startRelay('two');
});
afterAll(() => stack.disposeAsync());

async function startRelay(id: string): Promise<RelayProcess> {
  const relay = await installation.launch(id, env);
  await isReady(relay);
  relays.push(relay);
  return relay;
}
const relay = (at: number): RelayProcess => {
  const found = relays[at];
  if (found === undefined) throw new Error(`no relay ${at}`);
  return found;
};

type Hook = Partial<AppEntryBody['webhooks'][number]> & { readonly url: string };
async function setApp(appId: string, hooks: readonly Hook[], channels: AppFields['channels'] = {}): Promise<void> {
  const webhooks = hooks.map((hook, n) => ({
    name: `hook-${n}`,
    events: [...WEBHOOK_EVENTS],
    channelPrefix: null,
    batching: false,
    headers: null,
    ...hook,
  }));
  const revision = await installation.operator.publish(appChange({ appId, channels, webhooks }));
  await installation.operator.enforcedByAll(revision);
}
const sealedHeaders = (appId: string, name: string, headers: object): string =>
  seal(keyring, [appId], webhookHeadersField(name), JSON.stringify(headers), randomBytes(12));

const client = (appId: string, at: number): Promise<TestClient> => TestClient.connected(relay(at).port, `${appId}key`);
const subscribe = async (at: TestClient, appId: string, channel: string): Promise<void> =>
  at.subscribe(channel, `${appId}secret`, `${appId}key`);
const activityOf = async (appId: string): Promise<string> =>
  JSON.stringify(await installation.redis.command('XRANGE', webhookKeys(appKeys(), appId).activity, '-', '+'));
const senderOf = async (appId: string): Promise<string> =>
  String(await installation.redis.command('GET', webhookKeys(appKeys(), appId).lease));
/** A counter, over all relays. */
async function counted(metric: string): Promise<number> {
  const texts = await Promise.all(relays.map(metricsOf));
  const lines = texts.flatMap((text) => text.split('\n').filter((line) => line.startsWith(`${metric} `)));
  return lines.reduce((sum, line) => sum + Number(line.slice(metric.length)), 0);
}

test('what happens on channels is told over HTTPS, with headers from the Secret; the SDK takes it', async () => {
  await setApp('101', [
    {
      url: `${trusted.url}/all?x=1`,
      headers: sealedHeaders('101', 'hook-0', { Authorization: 'Bearer from-the-secret' }),
    },
    { url: `${trusted.url}/private`, channelPrefix: 'private-', events: ['client_event', 'channel_occupied'] },
  ]);
  const began = Date.now();
  const one = await client('101', 0);
  await using two = await client('101', 1);
  await subscribe(one, '101', 'private-a');
  await subscribe(two, '101', 'private-a');
  await subscribe(one, '101', 'cache-b');
  one.send({ event: 'client-moved', channel: 'private-a', data: '{"x":1}' });
  const post = await trusted.told({ name: 'client_event', channel: 'private-a' }, 15_000, '/all?x=1');
  expect(post.headers).toMatchObject({ authorization: 'Bearer from-the-secret', 'content-type': 'application/json' });
  const read = readBySdk(post, '101key', '101secret');
  expect(read.isValid()).toBe(true);
  expect(read.getEvents()).toEqual([
    { name: 'client_event', channel: 'private-a', event: 'client-moved', data: '{"x":1}', socket_id: one.socketId },
  ]);
  expect(read.getTime().getTime()).toBeGreaterThanOrEqual(began - 5_000);
  expect(readBySdk(post, '101key', 'othersecret').isValid()).toBe(false);
  await trusted.told({ name: 'cache_miss', channel: 'cache-b' });
  await one[Symbol.asyncDispose]();
  await trusted.told({ name: 'channel_vacated', channel: 'cache-b' });
  await eventually(() => trusted.events('/private').length === 2);
  expect(trusted.events('/private').map(({ name }) => name)).toEqual(['channel_occupied', 'client_event']);
  const all = trusted.events('/all?x=1');
  const counts = all.flatMap((event) => (event.name === 'subscription_count' ? event.subscription_count : []));
  expect(Math.max(...counts)).toBe(2);
  const names = all
    .filter(({ name }) => name !== 'subscription_count')
    .map(({ name, channel }) => `${name} ${channel}`);
  expect(names.toSorted()).toEqual(
    [
      'cache_miss cache-b',
      'channel_occupied cache-b',
      'channel_occupied private-a',
      'channel_vacated cache-b',
      'client_event private-a',
    ].toSorted(),
  );
});

test('an address that is not open, and a certificate that nobody vouches for: said to everybody, and nothing is sent', async () => {
  await using stranger = await WebhookEndpoint.start({ certificate: selfSigned('IP:127.0.0.1') });
  const port = new URL(stranger.url).port;
  await setApp('102', [
    {
      events: ['channel_occupied'],
      url: `https://127.0.0.2:${port}/secret-path`,
      headers: sealedHeaders('102', 'hook-0', { 'X-Key': 'hidden-header' }),
    },
    { url: `http://169.254.169.254/latest/meta-data/`, events: ['channel_occupied'] },
    { url: `http://[::1]:${port}/`, events: ['channel_occupied'] },
    { url: stranger.url },
  ]);
  await using one = await client('102', 0);
  await subscribe(one, '102', 'secret-channel');
  await eventually(async () => (await activityOf('102')).split('address_refused').length === 4);
  await eventually(async () => (await counted('relay_webhook_posts_total{outcome="tls"}')) > 0);
  expect(await counted('relay_webhooks_failed_total{reason="address_refused"}')).toBe(3);
  expect(stranger.posts).toEqual([]);
  const said = (await activityOf('102')) + relays.map(({ process }) => process.output()).join('');
  expect(said).toContain('webhook events were given up');
  for (const secret of ['secret-path', 'hidden-header', 'secret-channel', '102secret', '169.254', 'from-the-secret'])
    expect(said).not.toContain(secret);
});

test('an endpoint that is back is told what it missed; a relay that stops hands over', async () => {
  await startRelay('three');
  let isDown = true;
  await using endpoint = await WebhookEndpoint.start({
    answer: (_post, response) => void response.writeHead(isDown ? 503 : 204).end(),
  });
  await setApp('104', [{ url: endpoint.url, events: ['channel_occupied'], batching: true }]);
  const last = relays.length - 1;
  await using one = await client('104', last);
  for (const channel of ['a', 'b', 'c']) await subscribe(one, '104', channel);
  await eventually(() => endpoint.posts.length > 2);
  const [stopped] = relays.splice(last, 1);
  await stopped?.process.stop();
  isDown = false;
  const before = endpoint.posts.length;
  await eventually(
    () => {
      const told = endpoint.posts.slice(before).flatMap(({ events }) => events.map(({ channel }) => channel));
      return ['a', 'b', 'c'].every((channel) => told.includes(channel));
    },
    { timeout: 50_000 },
  );
});

test('members of a presence channel are told once, over all relays', async () => {
  await setApp('105', [{ url: `${trusted.url}/members`, events: ['member_added', 'member_removed'] }]);
  const clients = await Promise.all([client('105', 0), client('105', 1), client('105', 1)]);
  for (const [n, user_id] of ['ada', 'ada', 'bob'].entries())
    clients[n]?.requestSubscription('presence-room', { user_id }, '105secret', '105key');
  for (const one of clients) await one.event('pusher_internal:subscription_succeeded');
  await trusted.told({ name: 'member_added', user_id: 'bob' });
  for (const one of clients) await one[Symbol.asyncDispose]();
  for (const user_id of ['ada', 'bob']) await trusted.told({ name: 'member_removed', user_id });
  const told = trusted.events('/members').map((event) => `${event.name} ${'user_id' in event ? event.user_id : ''}`);
  expect(told.toSorted()).toEqual(['member_added ada', 'member_added bob', 'member_removed ada', 'member_removed bob']);
});

test('Redis is killed and comes back empty: what happens from then on is told', async () => {
  await setApp('106', [{ url: `${trusted.url}/again`, events: ['client_event'] }]);
  await using one = await client('106', 0);
  await subscribe(one, '106', 'private-a');
  await installation.redis.kill9();
  await installation.redis.start();
  await eventually(
    () => {
      one.send({ event: 'client-again', channel: 'private-a', data: '' });
      return trusted.events('/again').length > 0;
    },
    { timeout: 30_000, interval: 200 },
  );
});

// Last: nothing is enforced by all any more.
test('the relay that sends is killed: the other one delivers what it had not', async () => {
  let isDeaf = true;
  await using endpoint = await WebhookEndpoint.start({
    answer: (_post, response) => {
      if (!isDeaf) response.end();
    },
  });
  await setApp('103', [{ url: endpoint.url, events: ['channel_occupied'] }]);
  const clients = await Promise.all([client('103', 0), client('103', 1)]);
  for (const [n, one] of clients.entries()) for (const m of [0, 1, 2]) await subscribe(one, '103', `c${n}-${m}`);
  await eventually(() => endpoint.posts.length > 0);
  const sender = await senderOf('103');
  const [dead, alive] = sender.startsWith('one:') ? [relay(0), relay(1)] : [relay(1), relay(0)];
  dead.process.signal('SIGKILL');
  await dead.process.exited;
  const before = endpoint.posts.length;
  isDeaf = false;
  const channels = ['c0-0', 'c0-1', 'c0-2', 'c1-0', 'c1-1', 'c1-2'];
  await eventually(
    () => {
      const told = endpoint.posts.slice(before).map(({ events }) => events[0]?.channel);
      return channels.every((channel) => told.includes(channel));
    },
    { timeout: 30_000, describe: `all of ${channels.join()} are told by ${alive.process.pid}` },
  );
  await eventually(async () => (await senderOf('103')) === 'null');
  await Promise.all(clients.map((one) => one[Symbol.asyncDispose]()));
});
