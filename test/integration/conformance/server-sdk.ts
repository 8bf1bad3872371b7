import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import Pusher from 'pusher';
import { z } from 'zod';
import { pythonWith } from '#test/parts/python.ts';

/** What every server SDK can do, so that one set of cases runs against each. Bodies are as the relay sent them, parsed. */
export type ServerSdk = {
  readonly name: string;
  trigger(channels: string | string[], event: string, data: unknown, exceptSocketId?: string): Promise<unknown>;
  triggerBatch(events: readonly { channel: string; name: string; data: unknown }[]): Promise<unknown>;
  channels(query?: { prefix?: string; info?: string[] }): Promise<unknown>;
  channel(name: string, info?: string[]): Promise<unknown>;
  users(channel: string): Promise<unknown>;
  sendToUser(userId: string, event: string, data: unknown): Promise<unknown>;
  terminateUserConnections(userId: string): Promise<unknown>;
  authorizeChannel(socketId: string, channel: string, member?: Member): Promise<ChannelAuthorization>;
  authenticateUser(socketId: string, user: User): Promise<{ auth: string; user_data: string }>;
  /** The body's events; undefined when the SDK does not believe them. */
  webhookEvents(headers: Readonly<Record<string, string>>, body: string): Promise<unknown[] | undefined>;
};

export type Member = { readonly user_id: string; readonly user_info?: Readonly<Record<string, unknown>> };
export type User = { readonly id: string; readonly watchlist?: string[]; readonly [more: string]: unknown };
export type ChannelAuthorization = { auth: string; channel_data?: string; shared_secret?: string };

export type SdkOptions = {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
  readonly port: number;
  /** Base64 of 32 bytes. */
  readonly masterKey: string;
};

/** What an SDK throws for an answer that is no 2xx, whichever SDK. */
export class SdkRefusal extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`${status} ${body}`);
    this.status = status;
    this.body = body;
  }
}

/** npm `pusher`, unmodified. */
export function nodeSdk({ appId, key, secret, port, masterKey }: SdkOptions): ServerSdk {
  const pusher = new Pusher({
    appId,
    key,
    secret,
    host: '127.0.0.1',
    port: String(port),
    useTLS: false,
    encryptionMasterKeyBase64: masterKey,
  });
  const body = async (response: ReturnType<Pusher['get']>): Promise<unknown> => {
    try {
      return (await (await response).json()) as unknown;
    } catch (error) {
      if (error instanceof Pusher.RequestError) throw new SdkRefusal(error.status ?? 0, error.body ?? '');
      throw error;
    }
  };
  return {
    name: 'pusher (npm)',
    trigger: (channels, event, data, exceptSocketId) =>
      body(
        pusher.trigger(channels, event, data, exceptSocketId === undefined ? undefined : { socket_id: exceptSocketId }),
      ),
    triggerBatch: (events) => body(pusher.triggerBatch(events.map((event) => ({ ...event })))),
    channels: ({ prefix, info } = {}) =>
      body(
        pusher.get({
          path: '/channels',
          params: {
            ...(prefix === undefined ? {} : { filter_by_prefix: prefix }),
            ...(info === undefined ? {} : { info: info.join(',') }),
          },
        }),
      ),
    channel: (name, info) =>
      body(pusher.get({ path: `/channels/${name}`, params: info === undefined ? {} : { info: info.join(',') } })),
    users: (channel) => body(pusher.get({ path: `/channels/${channel}/users`, params: {} })),
    sendToUser: (userId, event, data) => body(pusher.sendToUser(userId, event, data)),
    terminateUserConnections: (userId) => body(pusher.terminateUserConnections(userId)),
    authorizeChannel: (socketId, channel, member) =>
      Promise.resolve(pusher.authorizeChannel(socketId, channel, member)),
    authenticateUser: (socketId, user) => Promise.resolve(pusher.authenticateUser(socketId, user)),
    webhookEvents: (headers, rawBody) => {
      const webhook = pusher.webhook({ headers, rawBody });
      return Promise.resolve(webhook.isValid() ? webhook.getEvents() : undefined);
    },
  };
}

const answerSchema = z.union([
  z.object({ result: z.unknown() }),
  z.object({ error: z.object({ type: z.string(), message: z.string() }) }),
]);

/** A Python process that lends its `pusher` package. */
export class PythonPusher implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(): Promise<PythonPusher> {
    const script = fileURLToPath(new URL('pusher-python.py', import.meta.url));
    // It ends with its input, and that ends with this process.
    const child = spawn(await pythonWith('pusher==3.3.4'), [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child, 'spawn');
    return new PythonPusher(child);
  }

  /** PyPI `pusher`, unmodified. */
  sdk({ appId, key, secret, port, masterKey }: SdkOptions): ServerSdk {
    const app = {
      app_id: appId,
      key,
      secret,
      host: '127.0.0.1',
      port,
      ssl: false,
      encryption_master_key_base64: masterKey,
    };
    const call = (name: string, args: readonly unknown[], kwargs: Readonly<Record<string, unknown>> = {}) =>
      this.#call({ app, call: name, args, kwargs });
    return {
      name: 'pusher (PyPI)',
      trigger: (channels, event, data, exceptSocketId) =>
        call('trigger', [channels, event, data, exceptSocketId ?? null]),
      triggerBatch: (events) => call('trigger_batch', [events]),
      channels: ({ prefix, info } = {}) =>
        call('channels_info', [], { prefix_filter: prefix ?? null, attributes: info ?? [] }),
      channel: (name, info) => call('channel_info', [name], { attributes: info ?? [] }),
      users: (channel) => call('users_info', [channel]),
      sendToUser: (userId, event, data) => call('send_to_user', [userId, event, data]),
      terminateUserConnections: (userId) => call('terminate_user_connections', [userId]),
      authorizeChannel: async (socketId, channel, member) =>
        (await call('authenticate', [channel, socketId, member ?? null])) as ChannelAuthorization,
      authenticateUser: async (socketId, user) =>
        (await call('authenticate_user', [socketId, user])) as { auth: string; user_data: string },
      webhookEvents: async (headers, body) => {
        const signed = [headers['x-pusher-key'], headers['x-pusher-signature'], body];
        return ((await call('validate_webhook', signed)) as { events: unknown[] } | null)?.events;
      },
    };
  }

  /** One call at a time: answers come in the order of the calls. */
  #call(request: unknown): Promise<unknown> {
    const answered = this.#last.then(async () => {
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value } = (await this.#lines.next()) as { value: string | undefined };
      if (value === undefined) throw new Error('the Python process has ended');
      const answer = answerSchema.parse(JSON.parse(value));
      if (!('error' in answer)) return answer.result;
      throw refusalOf(answer.error);
    });
    this.#last = answered.catch(() => undefined);
    return answered;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.stdin.end();
    await ended;
  }
}

/** pusher/http.py names three statuses by exceptions, whose text is the body, and writes the others before it. */
function refusalOf({ type, message }: { readonly type: string; readonly message: string }): Error {
  const named = { PusherBadRequest: 400, PusherBadAuth: 401, PusherForbidden: 403 }[type];
  if (named !== undefined) return new SdkRefusal(named, message);
  const [, status, body] = /^(\d+): (.*)$/s.exec(message) ?? [];
  return type === 'PusherBadStatus' ? new SdkRefusal(Number(status), body ?? '') : new Error(`${type}: ${message}`);
}
