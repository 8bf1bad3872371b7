import { eventually } from '#test/parts/eventually.ts';
import type { RelayInstallation, RelayProcess } from '../relay/relay-installation.ts';
import { TestClient, type Received } from '../relay/test-client.ts';
import { signinMessage, subscribeMessage, type Credentials } from './signed-messages.ts';

/** Channels, users and participants that every tenant of the test has, under the same names. */
export const CHANNELS = [
  'orders',
  'cache-orders',
  'private-room',
  'private-cache-room',
  'private-encrypted-room',
  'private-encrypted-cache-room',
  'presence-room',
  'presence-cache-room',
] as const;
export const USERS = ['ada', 'bob'] as const;
/** Of the app's own: what else there is to see of it. */
export type Answer = { readonly status: number; readonly text: string };
export type CallOptions = {
  readonly of?: string;
  readonly headers?: Record<string, string>;
  readonly port?: number;
};

/** An app with the same life as every other app of the test, and everything that can be seen of it. */
export class Tenant implements AsyncDisposable {
  readonly appId: string;
  readonly credentials: Credentials;
  /** ada at the first relay, bob at the second: both signed in, each watching the other, both in every channel. */
  readonly clients: TestClient[] = [];
  readonly #relays: readonly RelayProcess[];
  readonly #token: string;

  private constructor(appId: string, relays: readonly RelayProcess[], token: string) {
    this.appId = appId;
    this.credentials = { key: `${appId}key`, secret: `${appId}secret` };
    this.#relays = relays;
    this.#token = token;
  }

  static async settle(
    installation: RelayInstallation,
    relays: readonly RelayProcess[],
    appId: string,
    webhookUrl: string,
  ): Promise<Tenant> {
    await installation.app({
      appId,
      limits: { connections: 3, clientEventsPerSecond: 3 },
      channels: { subscriptionCounts: true, watchlists: true },
      webhooks: [
        {
          name: 'all',
          url: `${webhookUrl}/${appId}`,
          events: [
            'channel_occupied',
            'channel_vacated',
            'member_added',
            'member_removed',
            'client_event',
            'cache_miss',
            'subscription_count',
          ],
          channelPrefix: null,
          batching: false,
          headers: null,
        },
      ],
    });
    const tenant = new Tenant(appId, relays, await installation.token(appId));
    for (const [at, id] of USERS.entries()) {
      const client = await TestClient.connected(relays[at % relays.length]?.port ?? 0, tenant.credentials.key);
      tenant.clients.push(client);
      client.send(signinMessage(tenant.credentials, client.socketId, { id, watchlist: [...USERS], of: appId }));
      await client.event('pusher:signin_success');
      await tenant.subscribe(client, `#server-to-user-${id}`, id);
      for (const channel of CHANNELS) await tenant.subscribe(client, channel, id);
    }
    return tenant;
  }

  async subscribe(client: TestClient, channel: string, user: string): Promise<void> {
    const member = channel.startsWith('presence-') ? { user_id: user, user_info: { of: this.appId } } : undefined;
    client.send(subscribeMessage(this.credentials, client.socketId, channel, member));
    await client.event('pusher_internal:subscription_succeeded', channel);
  }

  get ada(): TestClient {
    const [ada] = this.clients;
    if (ada === undefined) throw new Error('nobody has connected');
    return ada;
  }

  get port(): number {
    return this.#relays[0]?.port ?? 0;
  }

  /** With the app's bearer token at the first relay, or with these headers instead, on another app, at another relay. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    { of = this.appId, headers, port = this.port }: CallOptions = {},
  ): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/apps/${of}${path}`, {
      method,
      headers: headers ?? { authorization: `Bearer ${this.#token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  /** Everything that clients were told so far, but for answers to their own pings. */
  async heard(): Promise<Received[][]> {
    await Promise.all(this.clients.map((client) => client.settled()));
    return this.clients.map(({ received }) => received.filter(({ event }) => event !== 'pusher:pong'));
  }

  /** Everything that can be asked about the app, except how often it was asked. */
  async seen(): Promise<Record<string, string>> {
    const paths = [
      '/channels?info=subscription_count',
      '/channels?info=user_count&filter_by_prefix=presence-',
      ...CHANNELS.map(
        (channel) => `/channels/${channel}?info=subscription_count${channel.includes('cache-') ? ',cache' : ''}`,
      ),
      '/channels/presence-room/users',
      '/channels/presence-cache-room/users',
      '/connections',
      '/encryption/keys',
    ];
    const answers: Record<string, string> = {};
    for (const path of paths) {
      const { status, text } = await this.call('GET', path);
      // The remaining life of a cached event is all that changes by itself.
      answers[path] = `${status} ${text.replace(/"ttl":\d+/, '"ttl":…')}`;
    }
    return answers;
  }

  /** What the app is charged for, by every relay: each writes down what it counted when it is asked, so the last one knows it all. */
  async usage(): Promise<string> {
    let text = '';
    for (const { port } of this.#relays) {
      ({ text } = await this.call('GET', '/analytics?granularity=minute', undefined, { port }));
    }
    return text;
  }

  /** Nothing is under way any more: what can be seen and what was told stays the same for a moment. */
  async atRest(): Promise<void> {
    let last = '';
    await eventually(
      async () => {
        const now = JSON.stringify([await this.seen(), await this.heard()]);
        const isSame = now === last;
        last = now;
        return isSame;
      },
      { interval: 200 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) await client[Symbol.asyncDispose]();
  }
}
