import type { Channel, Options, PresenceChannel } from 'pusher-js';
import { eventually } from '#test/parts/eventually.ts';
import { PusherClient, relayAt } from '#test/parts/pusher-js.ts';
import type { Member, ServerSdk, User } from './server-sdk.ts';

export type BrowserOptions = {
  readonly port: number;
  readonly key: string;
  /** The backend that authorizes its subscriptions and its sign-in. */
  readonly backend: ServerSdk;
  /** Who it is in presence channels. */
  readonly member?: Member;
  /** Who it signs in as. */
  readonly user?: User;
  readonly build?: typeof PusherClient;
};

/** One thing that happened to a client, in order: everything that pusher-js hands to its callers. */
export type Happened = {
  readonly event: string;
  readonly channel?: string;
  readonly data: unknown;
};

/** A page that uses pusher-js, unmodified, and remembers what it was told. */
export class Browser implements Disposable {
  readonly pusher: InstanceType<typeof PusherClient>;
  readonly happened: Happened[] = [];
  /** Every state of the connection, in order. */
  readonly states: string[] = [];

  constructor({ port, key, backend, member, user, build = PusherClient }: BrowserOptions) {
    const options: Options = {
      ...relayAt(port),
      channelAuthorization: {
        transport: 'ajax',
        endpoint: '',
        customHandler: ({ socketId, channelName }, callback) => {
          const asMember = channelName.startsWith('presence-') ? member : undefined;
          void answered(backend.authorizeChannel(socketId, channelName, asMember), callback);
        },
      },
      userAuthentication: {
        transport: 'ajax',
        endpoint: '',
        customHandler: ({ socketId }, callback) => {
          void answered(backend.authenticateUser(socketId, user ?? { id: 'nobody' }), callback);
        },
      },
    };
    this.pusher = new build(key, options);
    this.pusher.connection.bind('state_change', ({ current }: { current: string }) => this.states.push(current));
    this.pusher.connection.bind('error', (error: unknown) => this.happened.push({ event: 'error', data: error }));
    this.pusher.user.bind_global((event: string, data: unknown) =>
      this.happened.push({ event, channel: '#user', data }),
    );
    this.pusher.user.watchlist.bind_global((event: string, data: unknown) =>
      this.happened.push({ event, channel: '#watchlist', data }),
    );
  }

  /** The state is `connected`. */
  async connected(): Promise<this> {
    await this.reaches('connected');
    return this;
  }

  async reaches(state: string): Promise<void> {
    await eventually(() => this.pusher.connection.state === state, {
      describe: `${state} after ${this.states.join(', ')} and ${JSON.stringify(this.happened)}`,
    });
  }

  /** Begins to subscribe; everything that the channel is told is remembered. */
  follow(name: string): Channel {
    const channel = this.pusher.subscribe(name);
    channel
      .unbind_global()
      .bind_global((event: string, data: unknown) => this.happened.push({ event, channel: name, data }));
    return channel;
  }

  /** Subscribes, and resolves when the relay has said so. */
  async subscribe(name: string): Promise<Channel> {
    const channel = this.follow(name);
    await this.told('pusher:subscription_succeeded', name);
    return channel;
  }

  async join(name: string): Promise<PresenceChannel> {
    return (await this.subscribe(name)) as PresenceChannel;
  }

  /** The first such event, now or later. */
  told(event: string, channel?: string): Promise<Happened> {
    return eventually(() => this.all(event, channel)[0], {
      describe: `${event} on ${channel} among ${JSON.stringify(this.happened)}`,
    });
  }

  all(event: string, channel?: string): Happened[] {
    return this.happened.filter((one) => one.event === event && (channel === undefined || one.channel === channel));
  }

  /** The codes that the relay told in `pusher:error`. pusher-js tells each several times, and wraps those of the handshake once more. */
  errorCodes(): Set<number | null | undefined> {
    type Told = { readonly error?: Told; readonly data?: { readonly code?: number | null } };
    const code = ({ error, data }: Told): number | null | undefined => (error === undefined ? data?.code : code(error));
    return new Set(this.all('error').map(({ data }) => code(data as Told)));
  }

  /** Signs in; resolves when events to the user arrive. */
  async signIn(): Promise<this> {
    this.pusher.signin();
    await eventually(() => this.pusher.user.serverToUserChannel?.subscribed, {
      describe: `signed in, after ${JSON.stringify(this.happened)}`,
    });
    return this;
  }

  get socketId(): string {
    return this.pusher.connection.socket_id;
  }

  [Symbol.dispose](): void {
    this.pusher.disconnect();
  }
}

/** Node's way to hand over what a promise resolves to: pusher-js is older than promises. */
async function answered<T>(promise: Promise<T>, hand: (error: Error | null, answer: T | null) => void): Promise<void> {
  const [settled] = await Promise.allSettled([promise]);
  if (settled.status === 'fulfilled') hand(null, settled.value);
  else hand(settled.reason as Error, null);
}
