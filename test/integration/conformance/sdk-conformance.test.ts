import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { WEBHOOK_EVENTS } from '#crds/directory/entry-body.ts';
import { eventually } from '#test/parts/eventually.ts';
import { pusherWithEncryption } from '#test/parts/pusher-js.ts';
import { startRoundRobin, type RoundRobin } from '#test/parts/round-robin.ts';
import { serverSdk, startRelayInstallation, type RelayProcess } from '../relay/relay-installation.ts';
import { Browser, type BrowserOptions } from './browser.ts';
import { nodeSdk, PythonPusher, SdkRefusal, type SdkOptions, type ServerSdk } from './server-sdk.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

// Long, because it is a matrix: every feature as users meet it, pusher-js in the browser and each server SDK in the backend, unmodified,
// against one relay and against three behind one address.

const MASTER_KEY = randomBytes(32).toString('base64');

const stack = new AsyncDisposableStack();
let one: RelayProcess;
let three: RoundRobin;
let python: PythonPusher;
let receiver: WebhookReceiver;

beforeAll(async () => {
  python = stack.use(await PythonPusher.start());
  receiver = stack.use(await startWebhookReceiver());
  const installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  await installation.app({
    appId: '101',
    channels: { watchlists: true },
    limits: { presenceMembers: 3 },
    webhooks: [
      {
        name: 'all',
        url: receiver.url,
        events: [...WEBHOOK_EVENTS],
        channelPrefix: null,
        batching: false,
        headers: null,
      },
    ],
  });
  await installation.app({ appId: '102', channels: { subscriptionCounts: true } });
  await installation.app({ appId: '103', channels: { clientEvents: false, encrypted: false } });
  await installation.app({ appId: '104', enabled: false });
  const env = { RELAY_WEBHOOK_ALLOW: '127.0.0.1' };
  const relays = await Promise.all(['relay-1', 'relay-2', 'relay-3'].map((id) => installation.launch(id, env)));
  await installation.ready(...relays);
  one = relays[0] as RelayProcess;
  three = stack.use(await startRoundRobin(relays.map(({ port }) => port)));
}, 240_000);
afterAll(() => stack.disposeAsync());

let pages: DisposableStack;
let counter = 0;
beforeEach(() => {
  pages = new DisposableStack();
  return () => pages.dispose();
});

const topologies = [
  ['one relay', () => one.port],
  ['three relays behind one address', () => three.port],
] as const;
const sdks: readonly (readonly [string, (options: SdkOptions) => ServerSdk])[] = [
  ['pusher (npm)', nodeSdk],
  ['pusher (PyPI)', (options) => python.sdk(options)],
];

describe.each(topologies)('%s', (_, port) => {
  const options = (appId = '101'): SdkOptions => ({
    appId,
    key: `${appId}key`,
    secret: `${appId}secret`,
    port: port(),
    masterKey: MASTER_KEY,
  });
  const page = (backend: ServerSdk, more: Partial<BrowserOptions> = {}): Promise<Browser> =>
    pages.use(new Browser({ port: port(), key: '101key', backend, ...more })).connected();
  /** A name that no other case uses. */
  const fresh = (prefix = ''): string => `${prefix}case-${(counter += 1)}`;
  /** What was sent before has arrived: the next event to the same channel comes behind it. */
  const marker = async (sdk: ServerSdk, channel: string, ...at: readonly Browser[]): Promise<void> => {
    const event = `marker-${(counter += 1)}`;
    await sdk.trigger(channel, event, 'x');
    await Promise.all(at.map((browser) => browser.told(event, channel)));
  };

  describe.each(sdks)('%s', (_, make) => {
    let sdk: ServerSdk;
    beforeEach(() => {
      sdk = make(options());
    });
    const refused = (call: Promise<unknown>): Promise<SdkRefusal> =>
      call.then(
        (answer) => {
          throw new Error(`was not refused: ${JSON.stringify(answer)}`);
        },
        (error: unknown) => {
          if (error instanceof SdkRefusal) return error;
          throw error;
        },
      );
    const delivered = async (expected: Record<string, unknown>): Promise<void> => {
      const delivery = await eventually(
        () =>
          receiver.deliveries.find(({ body }) => {
            const { events } = JSON.parse(body) as { readonly events: Record<string, unknown>[] };
            return events.some((event) => Object.entries(expected).every(([name, value]) => event[name] === value));
          }),
        { describe: `${JSON.stringify(expected)} among ${JSON.stringify(receiver.events().slice(-20))}` },
      );
      const headers = delivery.headers as Record<string, string>;
      expect(headers['content-type']).toBe('application/json');
      expect(await sdk.webhookEvents(headers, delivery.body)).toEqual([expect.objectContaining(expected)]);
      expect(await sdk.webhookEvents(headers, `${delivery.body} `)).toBeUndefined();
    };

    test.each<[string, unknown]>([
      ['an object', { id: 7, name: 'κόσμε', 'with %': '100 %' }],
      ['an array', [1, 'two', null]],
      ['text', 'plain text'],
      ['the empty text', ''],
    ])('an event with %s arrives everywhere, and the reply is {}', async (_, data) => {
      const channel = fresh();
      const [first, second] = [await page(sdk), await page(sdk)];
      await Promise.all([first.subscribe(channel), second.subscribe(channel)]);
      expect(await sdk.trigger(channel, 'created', data)).toEqual({});
      for (const browser of [first, second]) expect((await browser.told('created', channel)).data).toEqual(data);
    });

    test('an event to many channels, a batch', async () => {
      const [one, two] = [fresh(), fresh()];
      const browser = await page(sdk);
      await Promise.all([browser.subscribe(one), browser.subscribe(two)]);
      expect(await sdk.trigger([one, two], 'both', { n: 1 })).toEqual({});
      await Promise.all([browser.told('both', one), browser.told('both', two)]);
      const batch = [
        { channel: one, name: 'first', data: { n: 1 } },
        { channel: two, name: 'second', data: 'text' },
      ];
      expect(await sdk.triggerBatch(batch)).toEqual({});
      expect((await browser.told('first', one)).data).toEqual({ n: 1 });
      expect((await browser.told('second', two)).data).toBe('text');
      expect(browser.all('first', two)).toEqual([]);
    });

    test('100 channels at once', async () => {
      const channels = Array.from({ length: 100 }, () => fresh());
      const browser = await page(sdk);
      await Promise.all([browser.subscribe(channels[0] ?? ''), browser.subscribe(channels[99] ?? '')]);
      expect(await sdk.trigger(channels, 'all', 'x')).toEqual({});
      await Promise.all([browser.told('all', channels[0]), browser.told('all', channels[99])]);
    });

    test('the socket that is left out does not get its event, others do', async () => {
      const channel = fresh();
      const [author, reader] = [await page(sdk), await page(sdk)];
      await Promise.all([author.subscribe(channel), reader.subscribe(channel)]);
      await sdk.trigger(channel, 'mine', 'x', author.socketId);
      await reader.told('mine', channel);
      await marker(sdk, channel, author);
      expect(author.all('mine')).toEqual([]);
    });

    test('a private channel is for who is authorized', async () => {
      const channel = fresh('private-');
      const allowed = await page(sdk);
      await allowed.subscribe(channel);
      const stranger = await page(make({ ...options(), secret: 'guessed' }));
      stranger.follow(channel);
      expect((await stranger.told('pusher:subscription_error', channel)).data).toMatchObject({
        type: 'AuthError',
        status: 401,
      });
      await sdk.trigger(channel, 'secret', 'x');
      await allowed.told('secret', channel);
      // The connection of the stranger is not lost, and public channels are open to it.
      const open = fresh();
      await stranger.subscribe(open);
      await marker(sdk, open, stranger);
      expect(stranger.all('secret')).toEqual([]);
    });

    test('presence: who is there, once per user, however many sockets', async () => {
      const channel = fresh('presence-');
      const ada = { user_id: 'ada', user_info: { name: 'Ada', title: 'Countess' } };
      const bob = { user_id: 'bob', user_info: { name: 'Bob' } };
      const watcher = await page(sdk, { member: ada });
      const { members } = await watcher.join(channel);
      expect(members.count).toBe(1);
      expect(members.me).toEqual({ id: 'ada', info: ada.user_info });

      const [bob1, bob2] = [await page(sdk, { member: bob }), await page(sdk, { member: bob })];
      const [joined1, joined2] = [await bob1.join(channel), await bob2.join(channel)];
      for (const { members } of [joined1, joined2]) {
        expect(members.count).toBe(2);
        expect(members.get('ada')).toEqual({ id: 'ada', info: ada.user_info });
      }
      expect((await watcher.told('pusher:member_added', channel)).data).toEqual({ id: 'bob', info: bob.user_info });
      expect(await sdk.users(channel)).toEqual({
        users: expect.arrayContaining([{ id: 'ada' }, { id: 'bob' }]) as unknown,
      });
      expect(await sdk.channel(channel, ['user_count'])).toEqual({ occupied: true, user_count: 2 });

      bob1.pusher.unsubscribe(channel);
      await eventually(
        async () =>
          ((await sdk.channel(channel, ['subscription_count'])) as { subscription_count?: number })
            .subscription_count === 2,
      );
      await marker(sdk, channel, watcher);
      expect(watcher.all('pusher:member_removed')).toEqual([]);
      bob2.pusher.disconnect();
      expect((await watcher.told('pusher:member_removed', channel)).data).toEqual({ id: 'bob', info: bob.user_info });
      expect(members.count).toBe(1);
      expect(watcher.all('pusher:member_added')).toHaveLength(1);
      expect(watcher.all('pusher:member_removed')).toHaveLength(1);
      await delivered({ name: 'member_added', channel, user_id: 'bob' });
      await delivered({ name: 'member_removed', channel, user_id: 'bob' });
    });

    test('presence: one member too many is refused and the others stay', async () => {
      const channel = fresh('presence-');
      for (const user_id of ['1', '2', '3']) await (await page(sdk, { member: { user_id } })).join(channel);
      const fourth = await page(sdk, { member: { user_id: '4' } });
      fourth.follow(channel);
      await fourth.told('pusher:subscription_error', channel);
      const third = await page(sdk, { member: { user_id: '3' } });
      expect((await third.join(channel)).members.count).toBe(3);
    });

    test('an encrypted channel: clients read, the relay carries nonce and ciphertext', async () => {
      const channel = fresh('private-encrypted-');
      const [node, web] = [await page(sdk), await page(sdk, { build: pusherWithEncryption() })];
      await Promise.all([node.subscribe(channel), web.subscribe(channel)]);
      expect(await sdk.trigger(channel, 'created', { secret: 'text' })).toEqual({});
      expect((await node.told('created', channel)).data).toEqual({ secret: 'text' });
      expect((await web.told('created', channel)).data).toEqual({ secret: 'text' });
      expect(await sdk.triggerBatch([{ channel, name: 'batched', data: { n: 1 } }])).toEqual({});
      expect((await node.told('batched', channel)).data).toEqual({ n: 1 });
    });

    test.each(['cache-', 'private-cache-', 'private-encrypted-cache-', 'presence-cache-'])(
      'a %s channel: a miss, then the last event for who comes later',
      async (prefix) => {
        const channel = fresh(prefix);
        const early = await page(sdk, { member: { user_id: 'early' } });
        await early.subscribe(channel);
        await early.told('pusher:cache_miss', channel);
        await delivered({ name: 'cache_miss', channel });
        await sdk.trigger(channel, 'state', { n: 1 });
        await sdk.trigger(channel, 'state', { n: 2 });
        await eventually(() => early.all('state', channel).length === 2);
        const late = await page(sdk, { member: { user_id: 'late' } });
        await late.subscribe(channel);
        expect((await late.told('state', channel)).data).toEqual({ n: 2 });
        await marker(sdk, channel, late);
        expect(late.all('state', channel)).toHaveLength(1);
        expect(late.all('pusher:cache_miss')).toEqual([]);
      },
    );

    test('the cache of a channel can be read', async () => {
      const channel = fresh('cache-');
      await (await page(sdk)).subscribe(channel);
      expect(await sdk.channel(channel, ['cache'])).toEqual({ occupied: true, cache: null });
      await sdk.trigger(channel, 'state', 'kept');
      expect(await sdk.channel(channel, ['cache'])).toMatchObject({
        cache: { data: expect.stringContaining('kept') as unknown, ttl: expect.any(Number) as unknown },
      });
    });

    test('signed in: events to the user reach every socket of it, and nobody else', async () => {
      const user = { id: fresh('user-'), name: 'Ada' };
      const [first, second, other] = [
        await page(sdk, { user }),
        await page(sdk, { user }),
        await page(sdk, { user: { id: fresh('user-') } }),
      ];
      for (const browser of [first, second, other]) await browser.signIn();
      expect(first.pusher.user.user_data).toEqual(user);
      await sdk.sendToUser(user.id, 'hello', { n: 1 });
      for (const browser of [first, second]) expect((await browser.told('hello', '#user')).data).toEqual({ n: 1 });
      await sdk.sendToUser((other.pusher.user.user_data as { id: string }).id, 'hello', { n: 2 });
      expect((await other.told('hello', '#user')).data).toEqual({ n: 2 });
      expect(other.all('hello')).toHaveLength(1);
    });

    test('a sign-in that the app did not sign is refused', async () => {
      const browser = await page(make({ ...options(), secret: 'guessed' }), { user: { id: 'ada' } });
      browser.pusher.signin();
      await browser.reaches('disconnected');
      expect(browser.errorCodes()).toEqual(new Set([4009]));
    });

    test('a watchlist: who of it is online, who comes and who goes', async () => {
      const [friend, absent, watcher] = [fresh('user-'), fresh('user-'), fresh('user-')];
      const signedIn = async (id: string, watchlist?: string[]): Promise<Browser> => {
        return (await page(sdk, { user: { id, ...(watchlist === undefined ? {} : { watchlist }) } })).signIn();
      };
      await signedIn(friend);
      const watching = await signedIn(watcher, [friend, absent]);
      const ids = (event: string): string[] =>
        watching.all(event, '#watchlist').flatMap(({ data }) => (data as { user_ids: string[] }).user_ids);
      await eventually(() => ids('online').includes(friend));
      const came = await signedIn(absent);
      await eventually(() => ids('online').includes(absent));
      came.pusher.disconnect();
      await eventually(() => ids('offline').includes(absent), { timeout: 20_000 });
      expect(ids('offline')).not.toContain(friend);
    });

    test('a user is disconnected everywhere, and nobody else', async () => {
      const user = { id: fresh('user-') };
      const [first, second, bystander] = [await page(sdk, { user }), await page(sdk, { user }), await page(sdk)];
      for (const browser of [first, second]) await browser.signIn();
      expect(await sdk.terminateUserConnections(user.id)).toEqual({});
      await Promise.all([first.reaches('disconnected'), second.reaches('disconnected')]);
      expect(first.errorCodes()).toEqual(new Set([4009]));
      expect(bystander.pusher.connection.state).toBe('connected');
    });

    test('queries: channels by prefix, one channel, counts over all sockets', async () => {
      const prefix = fresh('presence-list-');
      const [a, b, empty] = [`${prefix}-a`, `${prefix}-b`, `${prefix}-empty`];
      const [ada, bob] = [
        await page(sdk, { member: { user_id: 'ada' } }),
        await page(sdk, { member: { user_id: 'bob' } }),
      ];
      await Promise.all([ada.join(a), bob.join(a), ada.join(b)]);
      const counted = async (query: Parameters<ServerSdk['channels']>[0]): Promise<unknown> =>
        ((await sdk.channels(query)) as { channels: unknown }).channels;
      expect(await counted({ prefix })).toEqual({ [a]: {}, [b]: {} });
      await eventually(async () => {
        expect(await counted({ prefix, info: ['user_count'] })).toEqual({
          [a]: { user_count: 2 },
          [b]: { user_count: 1 },
        });
        return true;
      });
      expect(await sdk.channel(a, ['user_count', 'subscription_count'])).toEqual({
        occupied: true,
        user_count: 2,
        subscription_count: 2,
      });
      expect(await sdk.channel(empty)).toEqual({ occupied: false });
      expect(await sdk.users(empty)).toEqual({ users: [] });
      expect(await counted({ prefix: fresh('nothing-') })).toEqual({});
    });

    test('webhooks: occupied and vacated, signed so that the SDK believes them', async () => {
      const channel = fresh();
      const browser = await page(sdk);
      await browser.subscribe(channel);
      await delivered({ name: 'channel_occupied', channel });
      browser.pusher.unsubscribe(channel);
      await delivered({ name: 'channel_vacated', channel });
    });

    test('what is refused, with the status and the words that SDKs and their users know', async () => {
      const big = await refused(
        sdk.triggerBatch([{ channel: 'c', name: 'x', data: `${'é'.repeat(5_120)}x` }]).catch((error: unknown) => {
          // PyPI's SDK counts by itself before it sends; what it lets pass must be refused by the relay.
          if (error instanceof Error && error.message.includes('Too much data'))
            return sdk.trigger('c', 'x', 'x'.repeat(10_241));
          throw error;
        }),
      );
      expect([big.status, big.body]).toEqual([413, expect.stringContaining('content of this event')]);
      const batch = Array.from({ length: 11 }, () => ({ channel: 'c', name: 'x', data: 'x' }));
      const tooMany = await refused(sdk.triggerBatch(batch));
      expect([tooMany.status, tooMany.body]).toEqual([400, expect.stringContaining('Batch too large')]);
      const info = await refused(sdk.channels({ info: ['nonsense'] }));
      expect([info.status, info.body]).toEqual([
        400,
        expect.stringContaining('info should be a comma separated list of attributes'),
      ]);
      expect((await refused(sdk.channels({ info: ['user_count'] }))).status).toBe(400);
      expect((await refused(sdk.users('orders'))).status).toBe(400);
      expect((await refused(make({ ...options(), secret: 'guessed' }).trigger('c', 'x', 'x'))).status).toBe(401);
      expect((await refused(make({ ...options(), key: 'unknown' }).trigger('c', 'x', 'x'))).status).toBe(401);
      expect((await refused(make({ ...options(), appId: '102' }).channels())).status).toBe(401);
      expect((await refused(make(options('104')).trigger('c', 'x', 'x'))).status).toBe(403);
      const encrypted = await refused(make(options('103')).trigger('private-encrypted-x', 'x', 'x'));
      expect([400, 403]).toContain(encrypted.status);
    });
  });

  describe('pusher-js', () => {
    let backend: ServerSdk;
    beforeEach(() => {
      backend = nodeSdk(options());
    });

    test.each(['private-', 'presence-'])('client events on a %s channel: to the others, never back', async (prefix) => {
      const channel = fresh(prefix);
      const [ada, bob] = [
        await page(backend, { member: { user_id: 'ada' } }),
        await page(backend, { member: { user_id: 'bob' } }),
      ];
      const [from, to] = await Promise.all([ada.subscribe(channel), bob.subscribe(channel)]);
      const senders: unknown[] = [];
      // Only who listens for one event is told its sender.
      to.bind('client-typing', (_: unknown, metadata?: { user_id?: string }) => senders.push(metadata?.user_id));
      expect(from.trigger('client-typing', { who: 'ada' })).toBe(true);
      expect((await bob.told('client-typing', channel)).data).toEqual({ who: 'ada' });
      expect(senders).toEqual([prefix === 'presence-' ? 'ada' : undefined]);
      await marker(backend, channel, ada, bob);
      expect(ada.all('client-typing')).toEqual([]);
      expect(bob.all('client-typing')).toHaveLength(1);
      const event = { name: 'client_event', channel, event: 'client-typing', socket_id: ada.socketId };
      await eventually(() => receiver.events().find((one) => one['channel'] === channel && one['name'] === event.name));
      expect(receiver.events()).toContainEqual({
        ...event,
        data: JSON.stringify({ who: 'ada' }),
        ...(prefix === 'presence-' ? { user_id: 'ada' } : {}),
      });
    });

    test('client events where the app does not want them', async () => {
      const browser = await page(nodeSdk(options('103')), { key: '103key' });
      const channel = await browser.subscribe(fresh('private-'));
      channel.trigger('client-x', {});
      await browser.told('error');
      expect(browser.pusher.connection.state).toBe('connected');
    });

    test('subscription_count, on an app that turned it on', async () => {
      const channel = fresh();
      const app = nodeSdk(options('102'));
      const [first, second] = [await page(app, { key: '102key' }), await page(app, { key: '102key' })];
      const counted = await first.subscribe(channel);
      await eventually(() => counted.subscriptionCount === 1);
      await second.subscribe(channel);
      await eventually(() => counted.subscriptionCount === 2);
      expect(first.all('pusher:subscription_count', channel).at(-1)?.data).toEqual({ subscription_count: 2 });
      second.pusher.disconnect();
      await eventually(() => counted.subscriptionCount === 1);
    });

    test('a presence subscription of who has signed in needs no channel_data', async () => {
      const user = { id: fresh('user-'), user_info: { name: 'Ada' } };
      const browser = await page(backend, { user });
      browser.pusher.signin();
      const channel = await browser.join(fresh('presence-'));
      expect(channel.members.me).toEqual({ id: user.id, info: user.user_info });
    });

    test('a private subscription whose signature covers channel_data', async () => {
      const backed: ServerSdk = {
        ...backend,
        authorizeChannel: (socketId, channel) =>
          backend.authorizeChannel(socketId, channel, { user_id: socketId, user_info: { name: 'x' } }),
      };
      await (await page(backed)).subscribe(fresh('private-'));
    });

    test.each<[string, string, number, string]>([
      ['no such app', 'nobody', 4001, 'disconnected'],
      ['a disabled app', '104key', 4003, 'disconnected'],
    ])('%s: the error, then nothing is tried again', async (_, key, code, state) => {
      const browser = pages.use(new Browser({ port: port(), key, backend }));
      await browser.reaches(state);
      expect(browser.errorCodes()).toEqual(new Set([code]));
      expect(browser.states).toEqual([state]);
    });

    test('subscribing and unsubscribing in every order ends in what was said last', async () => {
      const browser = await page(backend);
      for (const prefix of ['', 'private-', 'presence-']) {
        const member = { user_id: 'ada' };
        const here = prefix === 'presence-' ? await page(backend, { member }) : browser;
        const at = (name: string) => here.pusher.channel(name);
        const settled = async (): Promise<void> => {
          const probe = fresh();
          await here.subscribe(probe);
          await marker(backend, probe, here);
        };
        const twice = fresh(prefix);
        here.follow(twice);
        here.follow(twice);
        await here.told('pusher:subscription_succeeded', twice);
        here.follow(twice);
        await settled();
        expect(at(twice).subscribed).toBe(true);

        const cancelled = fresh(prefix);
        here.follow(cancelled);
        here.pusher.unsubscribe(cancelled);
        here.pusher.unsubscribe(cancelled);
        await eventually(() => at(cancelled) === undefined);
        await backend.trigger(cancelled, 'late', 'x');

        const reinstated = fresh(prefix);
        here.follow(reinstated);
        here.pusher.unsubscribe(reinstated);
        here.follow(reinstated);
        await here.told('pusher:subscription_succeeded', reinstated);
        await marker(backend, reinstated, here);
        expect(at(reinstated)).toMatchObject({
          subscribed: true,
          subscriptionPending: false,
          subscriptionCancelled: false,
        });

        here.pusher.unsubscribe(twice);
        expect(at(twice)).toBeUndefined();
        await backend.trigger(twice, 'late', 'x');
        await settled();
        expect(here.all('late')).toEqual([]);
      }
    });

    test('a connection that is lost comes back with its subscriptions', async () => {
      const channel = fresh('presence-');
      const browser = await page(backend, { member: { user_id: 'ada' } });
      const joined = await browser.join(channel);
      const before = browser.socketId;
      browser.pusher.connection.disconnect();
      browser.pusher.connect();
      await eventually(() => browser.all('pusher:subscription_succeeded', channel).length === 2);
      expect(browser.socketId).not.toBe(before);
      expect(joined.members.count).toBe(1);
      await marker(backend, channel, browser);
    });
  });

  describe('pusher (npm), what only it can ask', () => {
    const sdk = () => serverSdk({ port: port() }, { appId: '101' });

    test('info with a trigger and with a batch', async () => {
      const [presence, open, empty] = [fresh('presence-'), fresh(), fresh('presence-')];
      const browser = await page(nodeSdk(options()), { member: { user_id: 'ada' } });
      await Promise.all([browser.join(presence), browser.subscribe(open)]);
      const info = 'user_count,subscription_count';
      expect(await (await sdk().trigger([presence, open, empty], 'x', '', { info })).json()).toEqual({
        channels: {
          [presence]: { user_count: 1, subscription_count: 1 },
          [open]: { subscription_count: 1 },
          [empty]: { user_count: 0, subscription_count: 0 },
        },
      });
      const batch = [
        { channel: presence, name: 'x', data: '', info },
        { channel: open, name: 'x', data: '' },
        { channel: open, name: 'x', data: '', info: 'subscription_count' },
      ];
      expect(await (await sdk().triggerBatch(batch)).json()).toEqual({
        batch: [{ user_count: 1, subscription_count: 1 }, {}, { subscription_count: 1 }],
      });
    });

    test('replies are bytes that SDK tests compare', async () => {
      expect(await (await sdk().trigger('c', 'x', '')).text()).toBe('{}');
      expect(await (await sdk().triggerBatch([{ channel: 'c', name: 'x', data: '' }])).text()).toBe('{}');
      expect(await (await sdk().get({ path: `/channels/${fresh()}` })).text()).toBe('{"occupied":false}');
    });

    test('two keys of a webhook: the SDK finds the one that it was given besides', async () => {
      const channel = fresh();
      await (await page(nodeSdk(options()))).subscribe(channel);
      const { headers, body } = await eventually(() =>
        receiver.deliveries.find(({ body }) => body.includes(`"${channel}"`)),
      );
      const other = serverSdk({ port: port() }, { appId: '102' });
      const webhook = other.webhook({ headers, rawBody: body });
      expect(webhook.isValid()).toBe(false);
      expect(webhook.isValid({ key: '101key', secret: '101secret' })).toBe(true);
      expect(Math.abs(webhook.getTime().getTime() - Date.now())).toBeLessThan(60_000);
    });
  });
});

test('behind one address the three relays were really used', () => {
  for (const given of three.given) expect(given).toBeGreaterThan(20);
});
