import Pusher from 'pusher';
import type { PresenceChannelData, UserChannelData } from 'pusher';
import { PusherClient, relayAt } from '#test/parts/pusher-js.ts';

/** 32 bytes. */
const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');

/** The Node SDK as a backend uses it. */
export const serverSdk = (port: number): Pusher =>
  new Pusher({
    appId: '101',
    key: 'appkey',
    secret: 'appsecret',
    host: '127.0.0.1',
    port: String(port),
    useTLS: false,
    encryptionMasterKeyBase64: ENCRYPTION_KEY,
  });

export type BrowserUser = {
  /** Who the backend says it is on presence channels; undefined: it does not say. */
  readonly member?: PresenceChannelData;
  /** Who the backend signs it in as. */
  readonly user?: UserChannelData;
};

export type Browser = InstanceType<typeof PusherClient> & Disposable;

/** pusher-js with a backend that authorizes everything. */
export function browser(port: number, { member, user }: BrowserUser = {}): Browser {
  const backend = serverSdk(port);
  const client = new PusherClient('appkey', {
    ...relayAt(port),
    channelAuthorization: {
      transport: 'ajax',
      endpoint: '',
      customHandler: ({ socketId, channelName }, callback) => {
        const data = channelName.startsWith('presence-') ? member : undefined;
        callback(null, backend.authorizeChannel(socketId, channelName, data));
      },
    },
    userAuthentication: {
      transport: 'ajax',
      endpoint: '',
      customHandler: ({ socketId }, callback) => {
        if (user === undefined) callback(new Error('nobody'), null);
        else callback(null, backend.authenticateUser(socketId, user));
      },
    },
  });
  return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() });
}

type Emitter = { bind(event: string, listener: (data: unknown) => void): unknown };

/** The data of the next such event. */
export const next = (emitter: Emitter, event: string): Promise<unknown> =>
  new Promise((resolve) => emitter.bind(event, resolve));

/** Everything that this event brings from now on. */
export function collected(emitter: Emitter, event: string): unknown[] {
  const all: unknown[] = [];
  emitter.bind(event, (data) => all.push(data));
  return all;
}
