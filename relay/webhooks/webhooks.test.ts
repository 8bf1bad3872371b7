import Pusher from 'pusher';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import { SAMPLE_APP } from '#test/parts/sample-entries.ts';
import { appOf, type Webhook } from '../directory/directory.ts';
import { DirectoryIndex } from '../directory/directory-index.ts';
import type { WebhookClock } from './app-drain.ts';
import { MemoryWebhookQueue, MemoryWebhookStore } from './memory-queue.ts';
import { webhookMetrics } from './metrics.ts';
import type { Post, PostRequest, PostResult } from './post.ts';
import type { WebhookEvent } from './webhook-sink.ts';
import { QueuedWebhooks, type Webhooks } from './webhooks.ts';

// What is sent when, tried again, and given up. Long, because its cases share one harness: replicas over one store, moved by one clock.

const OK: PostResult = { outcome: 'delivered', status: 200 };
const BROKEN: PostResult = { outcome: 'failed', reason: 'status', status: 500 };
const SECRET_HEADER = 'Bearer very-secret';
const occupied = (channel: string): WebhookEvent => ({ name: 'channel_occupied', channel });
const vacated = (channel: string): WebhookEvent => ({ name: 'channel_vacated', channel });

let time: FakeClock;
let store: MemoryWebhookStore;
let apps: DirectoryIndex;
let lines: string[];
let replicas: Webhooks[];
let names = 0;
beforeEach(() => {
  time = new FakeClock();
  store = new MemoryWebhookStore(() => time.monotonic());
  apps = new DirectoryIndex();
  lines = [];
  replicas = [];
});
afterEach(async () => {
  const closing = Promise.all(replicas.map((replica) => replica[Symbol.asyncDispose]()));
  await time.advance(60_000);
  await closing;
});

type HookFields = Partial<Omit<Webhook, 'headers'>> & { readonly header?: string };
type KeyFields = { readonly key: string; readonly expiresAt?: number; readonly pending?: boolean };
const KEYS: readonly KeyFields[] = [{ key: 'first' }, { key: 'second' }];
function setApp(appId: string, hooks: readonly HookFields[], keys = KEYS): void {
  const webhooks = hooks.map(({ header: _header, ...fields }, n) => ({
    name: `hook-${n}`,
    url: `https://${appId}.example/${n}`,
    events: ['channel_occupied', 'channel_vacated', 'member_added', 'client_event'] as Webhook['events'],
    channelPrefix: null,
    batching: false,
    ...fields,
    headers: null,
  }));
  const headers = hooks.map(
    ({ header }, n) =>
      [`hook-${n}`, new Map(header === undefined ? [] : [['Authorization', new Secret(header)]])] as const,
  );
  const app = appOf(
    {
      ...SAMPLE_APP,
      appId,
      keys: keys.map((one) => ({ id: one.key, secret: '', expiresAt: null, pending: false, ...one })),
      webhooks,
    },
    new Map(keys.map(({ key }) => [key, `${key}-secret`])),
    1,
    new Map(headers),
  );
  apps.setApp(appId, app);
}

type Sent = PostRequest & { readonly events: readonly WebhookEvent[]; readonly timeMs: number; readonly at: number };

/** A replica whose endpoints are `answer`. */
function replica(answer: (sent: Sent) => PostResult | Promise<PostResult>, clock?: WebhookClock) {
  const sent: Sent[] = [];
  const post: Post = async (request) => {
    const { events, time_ms: timeMs } = JSON.parse(request.body.toString()) as {
      events: WebhookEvent[];
      time_ms: number;
    };
    const one = { ...request, events, timeMs, at: time.monotonic() };
    sent.push(one);
    return await answer(one);
  };
  const metrics = webhookMetrics(new Registry());
  const own: WebhookClock = {
    now: () => time.now(),
    monotonic: () => time.monotonic(),
    sleep: (ms, signal) => time.sleep(ms, signal).catch(() => undefined),
  };
  const webhooks = new QueuedWebhooks({
    queue: new MemoryWebhookQueue(store, `replica-${(names += 1)}`),
    post,
    directory: { appById: (appId) => apps.appById(appId), apps: () => apps.apps(), ready: () => true },
    clock: clock ?? own,
    random: () => 1,
    metrics,
    log: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }),
  });
  replicas.push(webhooks);
  return { webhooks, sent, metrics };
}

const value = async (counter: { get(): Promise<{ values: { value: number; labels: object }[] }> }): Promise<object> =>
  Object.fromEntries(
    (await counter.get()).values.map(({ value, labels }) => [Object.values(labels).join() || 'all', value]),
  );

describe('one replica', () => {
  test('each webhook gets what it wants, one event a POST, signed as filtered; the SDK takes it', async () => {
    setApp('1', [
      { channelPrefix: 'presence-', header: SECRET_HEADER },
      { events: ['channel_vacated'] },
      { events: ['cache_miss'] },
    ]);
    setApp('2', [{}]);
    const { webhooks, sent } = replica(() => OK);
    const at = time.now();
    webhooks.enqueue('1', [occupied('a'), occupied('presence-a')]);
    webhooks.enqueue('1', [vacated('a'), { name: 'subscription_count', channel: 'a', subscription_count: 1 }]);
    webhooks.enqueue('unknown', [occupied('a')]);
    await time.advance(1);
    expect(sent.map(({ url, events }) => [url, events])).toEqual([
      ['https://1.example/0', [occupied('presence-a')]],
      ['https://1.example/1', [vacated('a')]],
    ]);
    const [first] = sent;
    if (first === undefined) throw new Error('nothing was sent');
    expect(first.headers.get('authorization')).toBe(SECRET_HEADER);
    const sdk = new Pusher({ appId: '1', key: 'first', secret: 'first-secret', host: 'x' });
    const received = sdk.webhook({
      headers: { ...Object.fromEntries(first.headers), 'content-type': 'application/json' },
      rawBody: first.body.toString(),
    });
    expect(received.isValid()).toBe(true);
    expect(received.getEvents()).toEqual([occupied('presence-a')]);
    expect(received.getTime().getTime()).toBe(at);
  });

  test('signed with the oldest key that verifies, never with one that nobody has yet', async () => {
    const hooks = [{}];
    const { webhooks, sent } = replica(() => OK);
    const end = time.now() + 60_000;
    const signedWith = async (): Promise<string | undefined> => {
      webhooks.enqueue('1', [occupied('a')]);
      await time.advance(1_000);
      return sent.at(-1)?.headers.get('x-pusher-key');
    };
    setApp('1', hooks, [
      { key: 'ended', expiresAt: time.now() },
      { key: 'old', expiresAt: end },
      { key: 'new' },
      { key: 'next', pending: true },
    ]);
    expect(await signedWith()).toBe('old');
    await time.advance(60_000);
    expect(await signedWith()).toBe('new');
    setApp('1', hooks, [{ key: 'next', pending: true }]);
    const posts = sent.length;
    await signedWith();
    expect(sent.length).toBe(posts);
  });

  test('extra headers cannot stand in for the signature', async () => {
    setApp('1', [{ header: 'x' }]);
    const app = apps.appById('1');
    const [hook] = app?.webhooks ?? [];
    if (app === undefined || hook === undefined) throw new Error('no app');
    const headers = new Map([
      ['X-Pusher-Signature', new Secret('forged')],
      ['x-pusher-KEY', new Secret('forged')],
    ]);
    apps.setApp('1', { ...app, webhooks: [{ ...hook, headers }] });
    const { webhooks, sent } = replica(() => OK);
    webhooks.enqueue('1', [occupied('a')]);
    await time.advance(1);
    expect(sent[0]?.headers.get('x-pusher-key')).toBe('first');
    expect(sent[0]?.headers.get('x-pusher-signature')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('a batching webhook gets what came meanwhile in one POST', async () => {
    setApp('1', [{ batching: true }]);
    const answers: (() => void)[] = [];
    const { webhooks, sent } = replica(() => new Promise((resolve) => answers.push(() => resolve(OK))));
    webhooks.enqueue('1', [occupied('a')]);
    await time.advance(1);
    webhooks.enqueue('1', [occupied('b'), vacated('a')]);
    await time.advance(500);
    expect(sent).toHaveLength(1);
    answers[0]?.();
    await time.advance(1);
    expect(sent.map(({ events }) => events)).toEqual([[occupied('a')], [occupied('b'), vacated('a')]]);
    answers[1]?.();
  });

  test('a failing endpoint is tried for five minutes, ever less often; then it is given up for everybody to see', async () => {
    setApp('1', [{ header: SECRET_HEADER }]);
    const { webhooks, sent, metrics } = replica(() => BROKEN);
    webhooks.enqueue('1', [
      { name: 'client_event', channel: 'private-a', event: 'client-x', data: 'payload', socket_id: '1.1' },
    ]);
    await time.advance(299_000);
    const seconds = sent.map(({ at }) => Math.round(at / 1_000));
    expect(seconds).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    expect(store.activity).toEqual([]);
    await time.advance(2_000);
    expect(store.activity).toEqual([{ appId: '1', webhook: 'hook-0', reason: 'status', events: 1 }]);
    expect(await value(metrics.failed)).toEqual({ status: 1 });
    await time.advance(60_000);
    expect(sent).toHaveLength(10);
    const told = lines.filter((line) => line.includes('given up'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('"webhook":"hook-0"');
    for (const secret of ['secret', 'payload', 'example', 'private-a']) expect(lines.join('')).not.toContain(secret);
    expect(time.sleeping).toBe(1); // The sweep; nobody sends.
  });

  test('an endpoint that is back is told of everything of the last five minutes, each channel in order', async () => {
    setApp('1', [{}]);
    let isUp = false;
    const { webhooks, sent } = replica(() => (isUp ? OK : BROKEN));
    for (const channel of ['a', 'b', 'c']) webhooks.enqueue('1', [occupied(channel), vacated(channel)]);
    await time.advance(100_000);
    isUp = true;
    const before = sent.length;
    await time.advance(61_000);
    const told = sent.slice(before).flatMap(({ events }) => events);
    for (const channel of ['a', 'b', 'c']) {
      const names = told.filter((event) => event.channel === channel).map(({ name }) => name);
      expect(names).toEqual(['channel_occupied', 'channel_vacated']);
    }
    expect(store.activity).toEqual([]);
  });

  test('a refused address is final: everything that waits is given up at once, in one line', async () => {
    setApp('1', [{}]);
    const { webhooks, sent, metrics } = replica(() => ({ outcome: 'refused', reason: 'address_refused' }));
    webhooks.enqueue(
      '1',
      Array.from({ length: 20 }, () => occupied('a')),
    );
    await time.advance(1_000);
    expect(sent).toHaveLength(1);
    expect(store.activity).toEqual([{ appId: '1', webhook: 'hook-0', reason: 'address_refused', events: 20 }]);
    expect(await value(metrics.failed)).toEqual({ address_refused: 20 });
  });

  test('an app without a key: nothing can be signed', async () => {
    setApp('1', [{}], []);
    const { webhooks, sent } = replica(() => OK);
    webhooks.enqueue('1', [occupied('a')]);
    await time.advance(1);
    expect(sent).toEqual([]);
    expect(store.activity).toMatchObject([{ reason: 'no_key', events: 1 }]);
  });

  test('endpoints that hang hold up neither another webhook nor another tenant', async () => {
    for (let n = 0; n < 20; n += 1) setApp(`slow-${n}`, [{}]);
    setApp('1', [{}, {}]);
    const { webhooks, sent } = replica(({ url }) =>
      url.includes('slow') || url.endsWith('0') ? new Promise(() => undefined) : OK,
    );
    for (let n = 0; n < 20; n += 1)
      webhooks.enqueue(
        `slow-${n}`,
        Array.from({ length: 50 }, (_, c) => occupied(`c${c}`)),
      );
    webhooks.enqueue('1', [occupied('a'), vacated('a')]);
    await time.advance(1);
    expect(sent.filter(({ url }) => url === 'https://1.example/1')).toHaveLength(2);
  });

  test('the store is away: what is new is counted as dropped; what was delivered meanwhile is not sent again', async () => {
    setApp('1', [{}]);
    const answers: (() => void)[] = [];
    const { webhooks, sent, metrics } = replica(() => new Promise((resolve) => answers.push(() => resolve(OK))));
    webhooks.enqueue('1', [occupied('a')]);
    await time.advance(1);
    store.away = true;
    answers[0]?.();
    webhooks.enqueue('1', [occupied('b')]);
    await time.advance(60_000);
    expect(await value(metrics.dropped)).toEqual({ queue: 1 });
    store.away = false;
    await time.advance(60_000);
    expect(sent).toHaveLength(1);
  });

  test('a webhook that is gone is sent no more; one with another URL is sent there', async () => {
    setApp('1', [{}]);
    const { webhooks, sent } = replica(() => BROKEN);
    webhooks.enqueue('1', [occupied('a')]);
    await time.advance(2_000);
    setApp('1', [{ url: 'https://new.example/' }]);
    await time.advance(10_000);
    expect(sent.at(-1)?.url).toBe('https://new.example/');
    apps.setApp('1', undefined);
    const { length } = sent;
    await time.advance(300_000);
    expect(sent).toHaveLength(length);
  });
});

describe('two replicas', () => {
  test('one sends at a time; what the other one takes in meanwhile is sent too, once', async () => {
    setApp('1', [{}]);
    const answers: (() => void)[] = [];
    const one = replica(() => new Promise((resolve) => answers.push(() => resolve(OK))));
    const two = replica(() => OK);
    one.webhooks.enqueue('1', [occupied('a')]);
    await time.advance(1);
    two.webhooks.enqueue('1', [occupied('b')]);
    await time.advance(500);
    expect([one.sent.length, two.sent.length]).toEqual([2, 0]);
    for (const answer of answers) answer();
    await time.advance(1);
    two.webhooks.enqueue('1', [occupied('c')]);
    await time.advance(500);
    expect(two.sent.map(({ events }) => events)).toEqual([[occupied('c')]]);
    expect(one.sent).toHaveLength(2);
  });

  test('one is killed while it sends: the other one sends it within its lease, also when nobody told it', async () => {
    setApp('1', [{}]);
    // Its clock stands still and its POST never ends, as if it were not there any more.
    const dead = replica(() => new Promise(() => undefined), {
      now: () => time.now(),
      monotonic: () => 0,
      sleep: () => new Promise(() => undefined),
    });
    replicas = [];
    dead.webhooks.enqueue('1', [occupied('a')]);
    await settled();
    await settled();
    expect(dead.sent).toHaveLength(1);
    const other = replica(() => OK);
    other.webhooks.wake('1');
    await time.advance(14_000);
    expect(other.sent).toEqual([]);
    await time.advance(2_000);
    expect(other.sent.map(({ events }) => events)).toEqual([[occupied('a')]]);
    expect(other.sent[0]?.timeMs).toBe(dead.sent[0]?.timeMs);
  });

  test('what was left behind is found by the sweep of whoever is there', async () => {
    setApp('1', [{}]);
    store.add('1', [occupied('a')], time.now());
    const [one, two] = [replica(() => OK), replica(() => OK)];
    await time.advance(40_000);
    expect(one.sent.length + two.sent.length).toBe(1);
  });

  test('one that is closed while it sends lets the other one go on at once', async () => {
    setApp('1', [{}]);
    const one = replica(() => BROKEN);
    one.webhooks.enqueue('1', [occupied('a')]);
    await time.advance(10_000);
    const closed = one.webhooks[Symbol.asyncDispose]();
    await time.advance(1);
    await closed;
    const two = replica(() => OK);
    two.webhooks.wake('1');
    await time.advance(1);
    expect(two.sent).toHaveLength(1);
  });
});
