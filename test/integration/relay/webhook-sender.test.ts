import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { monotonicClock } from '#relay/directory/clock.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { webhookKeys } from '#relay/redis/webhook-keys.ts';
import { RedisWebhookQueue } from '#relay/redis/webhook-queue.ts';
import { addressPolicy, parseAllowed } from '#relay/webhooks/address-policy.ts';
import { webhookMetrics } from '#relay/webhooks/metrics.ts';
import { createHttpPost } from '#relay/webhooks/post.ts';
import { createResolver } from '#relay/webhooks/resolver.ts';
import { QueuedWebhooks, type Webhooks } from '#relay/webhooks/webhooks.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { HandBuiltDirectory } from './hand-built-directory.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

/** The sender over real Redis and HTTP, with a wall clock that can be moved. */
const stack = new AsyncDisposableStack();
const directory = new HandBuiltDirectory();
let redis: RedisServer;
let ahead: number;
beforeAll(async () => {
  redis = stack.use(await startRedis());
});
beforeEach(() => {
  ahead = 0;
});
afterAll(() => stack.disposeAsync());

async function sender(): Promise<Webhooks> {
  const client = connectRedis({ url: redis.url, log: pino({ level: 'silent' }), name: 'sender' });
  await whenReady(client, AbortSignal.timeout(30_000));
  const now = (): number => performance.now();
  const wallClock = (): number => Date.now() + ahead;
  const post = createHttpPost({ policy: addressPolicy(parseAllowed('127.0.0.1')), resolve: createResolver() });
  const webhooks = new QueuedWebhooks({
    queue: new RedisWebhookQueue({ client, keys: appKeys(), prefix: '', replica: 'one', now, wallClock }),
    post,
    directory,
    clock: { ...monotonicClock, now: wallClock },
    random: Math.random,
    metrics: webhookMetrics(new Registry()),
    log: pino({ level: 'silent' }),
  });
  return Object.assign(webhooks, {
    [Symbol.asyncDispose]: async () => {
      await QueuedWebhooks.prototype[Symbol.asyncDispose].call(webhooks);
      post[Symbol.dispose]();
      client.disconnect();
    },
  });
}

const hook = (url: string) => ({
  name: 'hook',
  url,
  events: ['channel_occupied' as const],
  channelPrefix: null,
  batching: false,
  headers: null,
});
const keysOf = async (appId: string): Promise<unknown> =>
  redis.command(
    'KEYS',
    `${appKeys()
      .slot(appId)
      .replaceAll(/[[\]*?]/g, '')}*`,
  );

test('an endpoint that fails is tried again; five minutes after the event it is given up, and nothing is left', async () => {
  await using endpoint = await WebhookEndpoint.start({
    answer: (_post, response) => void response.writeHead(500).end(),
  });
  await directory.setApp({ appId: '1', webhooks: [hook(endpoint.url)] });
  await using webhooks = await sender();
  const { activity } = webhookKeys(appKeys(), '1');
  webhooks.enqueue('1', [{ name: 'channel_occupied', channel: 'a' }]);
  await eventually(() => endpoint.posts.length >= 2);
  expect(endpoint.posts[1]?.body).toBe(endpoint.posts[0]?.body);
  expect(endpoint.posts[1]?.headers['x-pusher-signature']).toBe(endpoint.posts[0]?.headers['x-pusher-signature']);
  expect(await redis.command('XLEN', activity)).toBe(0);
  ahead = 200_000;
  await eventually(() => endpoint.posts.length >= 3);
  ahead = 301_000;
  await eventually(async () => (await redis.command('XLEN', activity)) === 1);
  await eventually(async () => expect(await keysOf('1')).toEqual([activity]) ?? true);
});

test('a thousand events over two hundred channels all arrive once, each channel in order', async () => {
  await using endpoint = await WebhookEndpoint.start();
  await directory.setApp({
    appId: '2',
    webhooks: [{ ...hook(endpoint.url), events: ['client_event'], batching: false }],
  });
  await using webhooks = await sender();
  for (let n = 0; n < 1_000; n += 1) {
    const channel = `private-${n % 200}`;
    webhooks.enqueue('2', [{ name: 'client_event', channel, event: 'client-n', data: String(n), socket_id: '1.1' }]);
    if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(() => endpoint.posts.length >= 1_000, { timeout: 20_000 });
  const byChannel = new Map<string, number[]>();
  for (const event of endpoint.events()) {
    if (event.name !== 'client_event') continue;
    byChannel.set(event.channel, [...(byChannel.get(event.channel) ?? []), Number(event.data)]);
  }
  expect(byChannel.size).toBe(200);
  for (const [channel, told] of byChannel)
    expect(told).toEqual([0, 1, 2, 3, 4].map((round) => Number(channel.slice(8)) + round * 200));
  await eventually(async () => expect(await keysOf('2')).toEqual([]) ?? true);
});
