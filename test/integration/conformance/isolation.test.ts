import { createHash, createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { WEBHOOK_EVENTS } from '#crds/directory/entry-body.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startRelayInstallation, type RelayProcess } from '../relay/relay-installation.ts';
import { TestClient, type Received } from '../relay/test-client.ts';
import { signinMessage, subscribeMessage } from './signed-messages.ts';
import { CHANNELS, Tenant } from './tenant.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

// Long, because it lists every surface. Two tenants with the same channels, users and participants on the same relays. Every surface is used by one of them, and nothing of it
// may be heard, seen, counted or charged at the other. A new endpoint, or a new kind of webhook, that is not in the lists below fails.

/** Not to be mistaken for a part of a date or an id. */
const OURS = '7300201';
const THEIRS = '7300202';

const stack = new AsyncDisposableStack();
let receiver: WebhookReceiver;
let ours: Tenant;
let theirs: Tenant;
let relays: RelayProcess[];

beforeAll(async () => {
  receiver = stack.use(await startWebhookReceiver());
  const installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  const env = { RELAY_WEBHOOK_ALLOW: '127.0.0.1' };
  relays = await Promise.all(['relay-1', 'relay-2'].map((id) => installation.launch(id, env)));
  await installation.ready(...relays);
  ours = stack.use(await Tenant.settle(installation, relays, OURS, receiver.url));
  theirs = stack.use(await Tenant.settle(installation, relays, THEIRS, receiver.url));
  await theirs.call('POST', '/events', { name: 'state', channel: 'cache-orders', data: 'theirs' });
  await theirs.call('PUT', '/encryption/keys/ada', { public_key: publicKey() });
  await Promise.all([ours.atRest(), theirs.atRest()]);
  // Occupied, added, counted and missed: the webhooks of the beginning.
  for (const { appId } of [ours, theirs])
    await eventually(() => receiver.events(`/${appId}`).filter(({ name }) => name === 'member_added').length === 4);
}, 120_000);
afterAll(() => stack.disposeAsync());

const publicKey = (): string => randomBytes(32).toString('base64');
const event = (channel: string, more: object = {}): object => ({ name: 'ours', channel, data: 'ours', ...more });
const encrypted = {
  name: 'ours',
  data: JSON.stringify({ nonce: Buffer.alloc(24).toString('base64'), ciphertext: Buffer.alloc(32).toString('base64') }),
};

/** What the other tenant can notice. */
type Noticed = { seen: Record<string, string>; heard: Received[][]; told: number };
async function noticed(): Promise<Noticed> {
  const [seen, heard] = [await theirs.seen(), await theirs.heard()];
  return { seen, heard, told: receiver.events(`/${THEIRS}`).length };
}
/** Runs `work` of ours, which must have its effect on ours, and compares what the other tenant notices before and after. */
async function unnoticed(work: () => Promise<void>): Promise<void> {
  const before = await noticed();
  await work();
  await ours.heard();
  expect(await noticed()).toEqual(before);
}
const heardByOurs = (name: string, channel?: string): Promise<unknown> =>
  Promise.all(ours.clients.map((client) => client.event(name, channel)));
const answered = async (method: string, path: string, body: unknown, pattern: RegExp): Promise<void> => {
  const { status, text } = await ours.call(method, path, body);
  expect([status, text]).toEqual([status < 300 ? status : 200, expect.stringMatching(pattern)]);
  expect(text).not.toMatch(/theirs|7300202/);
};
/** Path and query, signed with our key and secret. */
function signed(method: string, path: string, body: unknown): string {
  const { key, secret } = ours.credentials;
  const md5 = body === undefined ? [] : [`body_md5=${createHash('md5').update(JSON.stringify(body)).digest('hex')}`];
  const now = Math.floor(Date.now() / 1000);
  const query = [`auth_key=${key}`, `auth_timestamp=${now}`, 'auth_version=1.0', ...md5].join('&');
  const signature = createHmac('sha256', secret).update(`${method}\n${path}\n${query}`).digest('hex');
  return `${path}?${query}&auth_signature=${signature}`;
}
/** A third client of ours, gone afterwards. */
async function guest(work: (client: TestClient) => Promise<void>): Promise<void> {
  const client = await TestClient.connected(relays[1]?.port ?? 0, ours.credentials.key);
  await work(client);
  await client[Symbol.asyncDispose]();
  await ours.atRest();
}

/** Both tenants have a user `guest` signed in; `terminate` ends ours. */
async function terminated(terminate: () => Promise<void>): Promise<void> {
  await using bystander = await TestClient.connected(theirs.port, theirs.credentials.key);
  bystander.send(signinMessage(theirs.credentials, bystander.socketId, { id: 'guest' }));
  await bystander.event('pusher:signin_success');
  await guest(async (client) => {
    client.send(signinMessage(ours.credentials, client.socketId, { id: 'guest' }));
    await client.event('pusher:signin_success');
    await terminate();
    expect(await client.closed()).toBe(4009);
  });
  await bystander.settled();
  expect(bystander.closeCode).toBeUndefined();
  await bystander[Symbol.asyncDispose]();
  await theirs.atRest();
}

/** Every endpoint, by its operationId: what ours does with it. */
const ENDPOINTS: Readonly<Record<string, () => Promise<void>>> = {
  publish: async () => {
    for (const channel of CHANNELS) {
      const more = { socket_id: theirs.ada.socketId, info: 'subscription_count' };
      const body = channel.startsWith('private-encrypted-') ? { ...encrypted, channel, ...more } : event(channel, more);
      await answered('POST', '/events', body, /"subscription_count":2/);
      await heardByOurs('ours', channel);
    }
    await answered('POST', '/events', event('#server-to-user-ada', { name: 'to-ada' }), /^\{\}$/);
    await ours.ada.event('to-ada');
  },
  publishBatch: async () => {
    await answered('POST', '/batch_events', { batch: [event('orders', { name: 'batched' })] }, /^\{\}$/);
    await heardByOurs('batched');
  },
  listChannels: () =>
    answered('GET', '/channels?info=subscription_count', undefined, /"orders":\{"subscription_count":2\}/),
  showChannel: () => answered('GET', '/channels/cache-orders?info=cache', undefined, /"data":"[^"]*ours/),
  listUsers: () => answered('GET', '/channels/presence-room/users', undefined, /"ada".*"bob"|"bob".*"ada"/),
  authorizeChannel: async () => {
    const request = { socket_id: theirs.ada.socketId, channel_name: 'private-room' };
    const { text } = await ours.call('POST', '/auth/channel', request);
    const { auth } = z.object({ auth: z.string() }).parse(JSON.parse(text));
    // Signed by us for their socket: of no use there.
    await using intruder = await TestClient.connected(theirs.port, theirs.credentials.key);
    intruder.send({ event: 'pusher:subscribe', data: { channel: 'private-room', auth } });
    await intruder.event('pusher:subscription_error', 'private-room');
  },
  authenticateUser: async () => {
    const request = { socket_id: theirs.ada.socketId, user_data: JSON.stringify({ id: 'ada' }) };
    await answered('POST', '/auth/user', request, /"auth":"7300201key:/);
  },
  terminateUserConnections: () =>
    terminated(async () => answered('POST', '/users/guest/terminate_connections', {}, /^\{\}$/)),
  // As PyPI's SDK asks: the app is whose key signed.
  terminateUserConnectionsByKey: () =>
    terminated(async () => {
      const target = signed('POST', '/users/guest/terminate_connections', {});
      const response = await fetch(`http://127.0.0.1:${ours.port}${target}`, { method: 'POST', body: '{}' });
      expect(await response.text()).toBe('{}');
    }),
  listConnections: () => answered('GET', '/connections?user=ada', undefined, /"ada"/),
  disconnect: async () => {
    expect((await ours.call('DELETE', `/connections/${theirs.ada.socketId}`)).status).toBe(404);
    await guest(async (client) => {
      expect((await ours.call('DELETE', `/connections/${client.socketId}`)).status).toBe(204);
      expect(await client.closed()).toBe(4009);
    });
  },
  analytics: async () => {
    await answered('GET', '/analytics?granularity=minute', undefined, /"points"/);
  },
  listPublicKeys: () => answered('GET', '/encryption/keys', undefined, /^\{"keys":\[/),
  registerPublicKey: () => answered('PUT', '/encryption/keys/ada', { public_key: publicKey() }, /"participant":"ada"/),
  showPublicKey: async () => {
    const registered = publicKey();
    await ours.call('PUT', '/encryption/keys/bob', { public_key: registered });
    expect((await ours.call('GET', '/encryption/keys/bob')).text).toContain(registered);
  },
  removePublicKey: async () => {
    expect((await ours.call('DELETE', '/encryption/keys/ada')).status).toBeLessThan(300);
  },
};

const document = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.object({ operationId: z.string() }))),
});
async function operations(): Promise<{ method: string; path: string; id: string }[]> {
  const { paths } = document.parse(await (await fetch(`http://127.0.0.1:${ours.port}/openapi.json`)).json());
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({
      method: method.toUpperCase(),
      path,
      id: operationId,
    })),
  );
}

describe('endpoints', () => {
  test('every endpoint of the relay is in the list of this test', async () => {
    // An endpoint that Pusher has too is served under two prefixes.
    const served = (await operations())
      .filter(({ path }) => path.includes('{'))
      .map(({ id }) => id.replace(/Pusher$/, ''));
    expect(Object.keys(ENDPOINTS).toSorted()).toEqual([...new Set(served)].toSorted());
  });

  test.each(Object.entries(ENDPOINTS))('%s: the other tenant does not notice', async (_, work) => {
    await unnoticed(work);
  });

  test('our credentials open nothing of theirs, whatever the endpoint', async () => {
    const before = await noticed();
    let tried = 0;
    for (const { method, path } of (await operations()).filter(({ path }) => path.includes('{'))) {
      const target = path.replace(/^(\/api\/v1)?\/apps\/\{[^}]*\}/, '').replaceAll(/\{[^}]*\}/g, 'ada');
      if (target === path) continue; // The app is whose key signed: nobody can name another.
      const body = method === 'GET' || method === 'DELETE' ? undefined : event('orders');
      const { key, secret } = ours.credentials;
      for (const headers of [undefined, { 'x-relay-key': key, 'x-relay-secret': secret }]) {
        const { status } = await ours.call(method, target, body, {
          of: THEIRS,
          ...(headers === undefined ? {} : { headers }),
        });
        expect([401, 403], `${method} ${path}`).toContain(status);
      }
      const below = `/api/v1/apps/${THEIRS}`;
      const withOurKey = signed(method, `${below}${target}`, body).slice(below.length);
      const { status } = await ours.call(method, withOurKey, body, { of: THEIRS, headers: {} });
      expect([401, 403], `${method} ${path}, signed`).toContain(status);
      tried += 1;
    }
    expect(tried).toBeGreaterThanOrEqual(Object.keys(ENDPOINTS).length);
    expect(await noticed()).toEqual(before);
  });
});

describe('sockets', () => {
  const SOCKET: Readonly<Record<string, () => Promise<void>>> = {
    'client events': async () => {
      const bob = ours.clients[1];
      for (const channel of ['private-room', 'presence-room']) {
        ours.ada.send({ event: 'client-typing', channel, data: 'ours' });
        await bob?.event('client-typing', channel);
      }
    },
    'coming and going of members, users and subscribers': () =>
      guest(async (client) => {
        client.send(signinMessage(ours.credentials, client.socketId, { id: 'carol', watchlist: ['ada', 'bob'] }));
        await client.event('pusher_internal:watchlist_events');
        for (const channel of [...CHANNELS, 'alone']) await ours.subscribe(client, channel, 'carol');
        await Promise.all(ours.clients.map((one) => one.event('pusher_internal:member_added', 'presence-room')));
        expect(
          String((await client.event('pusher_internal:subscription_succeeded', 'presence-room')).data),
        ).not.toContain(THEIRS);
        client.webSocket.close();
        await heardByOurs('pusher_internal:member_removed', 'presence-room');
      }),
    'a cached event': () =>
      guest(async (client) => {
        await ours.subscribe(client, 'cache-orders', 'carol');
        expect((await client.event('ours', 'cache-orders')).data).toBe('ours');
      }),
    'signatures of one app on sockets of the other': async () => {
      await using client = await TestClient.connected(theirs.port, theirs.credentials.key);
      for (const channel of CHANNELS.filter((name) => /^(private|presence)-/.test(name))) {
        client.send(
          subscribeMessage(
            ours.credentials,
            client.socketId,
            channel,
            channel.startsWith('presence-') ? { user_id: 'eve' } : undefined,
          ),
        );
        await client.event('pusher:subscription_error', channel);
        const forged = subscribeMessage({ ...ours.credentials, key: theirs.credentials.key }, client.socketId, channel);
        client.send(forged);
      }
      await client.settled();
      expect(client.received.filter((frame) => frame.event === 'pusher_internal:subscription_succeeded')).toEqual([]);
    },
    'the channel of a user, asked for by name': () =>
      guest(async (client) => {
        client.send({ event: 'pusher:subscribe', data: { channel: '#server-to-user-ada', auth: '' } });
        await client.event('pusher:subscription_error', '#server-to-user-ada');
      }),
    'the quota of connections': async () => {
      const third = await TestClient.connected(ours.port, ours.credentials.key);
      await using fourth = new TestClient(`ws://127.0.0.1:${ours.port}/app/${ours.credentials.key}?protocol=7`);
      expect(await fourth.closed()).toBe(4004);
      await using theirThird = await TestClient.connected(theirs.port, theirs.credentials.key);
      await theirThird[Symbol.asyncDispose]();
      await third[Symbol.asyncDispose]();
      await Promise.all([ours.atRest(), theirs.atRest()]);
    },
    'the rate of client events': async () => {
      for (let n = 0; n < 10; n++) ours.ada.send({ event: 'client-x', channel: 'private-room', data: 'ours' });
      await eventually(() => ours.ada.received.some(({ data }) => (data as { code?: number }).code === 4301));
    },
  };

  test.each(Object.entries(SOCKET))('%s: the other tenant does not notice', async (_, work) => {
    await unnoticed(work);
  });
});

describe('what accumulates', () => {
  test('every kind of webhook was sent for us, and to each only its own, signed with its own key', async () => {
    await eventually(
      () => new Set(receiver.events(`/${OURS}`).map(({ name }) => name)).size === WEBHOOK_EVENTS.length,
      {
        describe: `all of ${WEBHOOK_EVENTS.join(', ')}`,
      },
    );
    for (const { path, headers, body } of receiver.deliveries) {
      const tenant = path.endsWith(OURS) ? ours : theirs;
      const signature = createHmac('sha256', tenant.credentials.secret).update(body).digest('hex');
      expect(headers).toMatchObject({ 'x-pusher-key': tenant.credentials.key, 'x-pusher-signature': signature });
      expect(body).not.toContain(tenant === ours ? 'theirs' : 'ours');
    }
  });

  test('messages of one app are not charged to the other', async () => {
    const messages = z.object({ points: z.array(z.record(z.string(), z.unknown())) });
    const total = (text: string): number =>
      messages
        .parse(JSON.parse(text))
        .points.flatMap((point) => Object.entries(point))
        .filter(([name]) => name.startsWith('messages'))
        .reduce((sum, [, value]) => sum + Number(value), 0);
    await Promise.all([ours.heard(), theirs.heard()]);
    const before = [total(await ours.usage()), total(await theirs.usage())] as const;
    await ours.call('POST', '/events', event('orders', { name: 'charged' }));
    await heardByOurs('charged');
    // One delivery to ada and one to bob, at different relays; nothing was sent to theirs.
    expect([total(await ours.usage()), total(await theirs.usage())]).toEqual([before[0] + 2, before[1]]);
  });

  test('nothing of ours is in anything that they were ever told', async () => {
    const { seen, heard } = await noticed();
    const texts = JSON.stringify([seen, heard, receiver.events(`/${THEIRS}`)]);
    expect(texts).not.toMatch(/ours|7300201|carol|guest/);
    for (const { socketId } of ours.clients) expect(texts).not.toContain(socketId);
  });
});
