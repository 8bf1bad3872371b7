import { request } from 'node:http';
import Pusher from 'pusher';
import { WebSocket } from 'ws';
import { refusals, type Refusal, type RefusalCode } from '#relay/gate/refusals.ts';
import { eventually } from '#test/parts/eventually.ts';
import type { Call } from './callers.ts';

/** What a door says: `in`, or status (a socket: close code) and the code of the refusal. */
export type Verdict = 'in' | `${number} ${RefusalCode}`;

type Presented = { readonly headers: Readonly<Record<string, string>>; readonly query: string };
type Signed = { readonly method: string; readonly path: string; readonly body: string };

/** The ways to authenticate at HTTP; a WebSocket has but the public key in its path. */
export const methods = {
  bearer: ({ token }: Call): Presented => ({ headers: { authorization: `Bearer ${token}` }, query: '' }),
  keyAndSecret: ({ key, secret }: Call): Presented => ({
    headers: { 'x-relay-key': key, 'x-relay-secret': secret },
    query: '',
  }),
  signature: ({ appId, key, secret }: Call, { method, path, body }: Signed): Presented => ({
    headers: {},
    query: `?${new Pusher({ appId, key, secret, host: '127.0.0.1' }).createSignedQueryString({
      method,
      path,
      params: {},
      ...(body === '' ? {} : { body }),
    })}`,
  }),
};
export type Method = keyof typeof methods;
export const METHODS: readonly Method[] = ['bearer', 'keyAndSecret', 'signature'];

type Door = {
  readonly method: 'GET' | 'POST';
  readonly path: (call: Call) => string;
  readonly body?: (call: Call) => object;
  readonly methods: readonly Method[];
};
const event = ({ data }: Call): object => ({ name: 'created', channel: 'orders', data });

/** Every kind of HTTP door. */
export const doors = {
  events: { method: 'POST', path: ({ appId }) => `/apps/${appId}/events`, body: event, methods: METHODS },
  'api events': { method: 'POST', path: ({ appId }) => `/api/v1/apps/${appId}/events`, body: event, methods: METHODS },
  batch: {
    method: 'POST',
    path: ({ appId }) => `/api/v1/apps/${appId}/batch_events`,
    body: (call) => ({ batch: [event(call)] }),
    methods: METHODS,
  },
  channels: { method: 'GET', path: ({ appId }) => `/apps/${appId}/channels`, methods: METHODS },
  'auth channel': {
    method: 'POST',
    path: ({ appId }) => `/api/v1/apps/${appId}/auth/channel`,
    body: () => ({ socket_id: '1.2', channel_name: 'private-orders' }),
    methods: METHODS,
  },
  'auth user': {
    method: 'POST',
    path: ({ appId }) => `/api/v1/apps/${appId}/auth/user`,
    body: () => ({ socket_id: '1.2', user_data: '{"id":"ada"}' }),
    methods: METHODS,
  },
  // Without the app in its path: the key says which one it is, so a token cannot.
  'terminate by key': {
    method: 'POST',
    path: () => '/users/ada/terminate_connections',
    body: () => ({}),
    methods: ['keyAndSecret', 'signature'],
  },
} as const satisfies Record<string, Door>;
export type DoorName = keyof typeof doors;
export const DOORS = Object.keys(doors).filter((name): name is DoorName => name in doors);

/** Calls at a door of the relay at this port. */
export async function knock(port: number, name: DoorName, by: Method, call: Call): Promise<string> {
  const door: Door = doors[name];
  const path = door.path(call);
  const body = door.body === undefined ? '' : JSON.stringify(door.body(call));
  const presented = call.anonymous
    ? { headers: {}, query: '' }
    : methods[by](call, { method: door.method, path, body });
  const headers = { host: '127.0.0.1', ...presented.headers, ...call.headers };
  const sent = call.altered && body !== '' ? `${body} ` : body;
  const bytes = call.announcedBytes ?? Buffer.byteLength(sent);
  const lines = Object.entries({ ...headers, 'content-length': String(bytes) }).flat();
  if (call.repeated !== undefined) lines.push(call.repeated, 'x', call.repeated, 'x');
  const { status, text } = await send(port, { method: door.method, path: `${path}${presented.query}`, lines }, sent);
  if (status >= 200 && status < 300) return 'in';
  const { error } = JSON.parse(text) as { error: { code: string } };
  return `${status} ${error.code}`;
}

function send(
  port: number,
  { method, path, lines }: { readonly method: string; readonly path: string; readonly lines: readonly string[] },
  body: string,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers: [...lines], agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        sent.destroy();
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject);
    // Not the end of it: what was announced may be more than what comes.
    sent.write(body === '' ? Buffer.alloc(0) : body);
    sent.flushHeaders();
  });
}

const codeOf = (said: string): string | undefined =>
  Object.entries<Refusal>(refusals).find(([, { message }]) => message === said)?.[0];

/** A client at the WebSocket door. */
export class Socket implements Disposable {
  readonly #webSocket: WebSocket;
  readonly #messages: { readonly event: string; readonly data: unknown }[] = [];
  #closeCode: number | undefined;

  constructor(port: number, { key, protocol, headers, repeated }: Call) {
    const twice = repeated === undefined ? {} : { [repeated]: ['x', 'x'] };
    this.#webSocket = new WebSocket(`ws://127.0.0.1:${port}/app/${key}?protocol=${protocol}`, {
      headers: { ...headers, ...twice },
    });
    this.#webSocket.on('message', (text: Buffer) => this.#messages.push(JSON.parse(text.toString()) as never));
    this.#webSocket.on('close', (code) => (this.#closeCode = code));
    this.#webSocket.on('error', () => undefined);
  }

  /** Of the handshake, or since then. */
  verdict(): Promise<string> {
    return eventually(
      () => this.#refusal() ?? (this.#data('pusher:connection_established') === undefined ? undefined : 'in'),
    );
  }

  /** Not even a close frame has come. */
  get open(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  /** With the code of the refusal, from the message that comes before the close frame. */
  closed(): Promise<string> {
    return eventually(() => this.#refusal());
  }

  async subscribe(channel: string, auth?: string): Promise<void> {
    this.send({ event: 'pusher:subscribe', data: { channel, auth } });
    await this.data('pusher_internal:subscription_succeeded');
  }

  async socketId(): Promise<string> {
    const data = (await this.data('pusher:connection_established')) as string;
    return (JSON.parse(data) as { socket_id: string }).socket_id;
  }

  send(message: object): void {
    this.#webSocket.send(JSON.stringify(message));
  }

  /** Of the first such event. */
  data(event: string): Promise<unknown> {
    return eventually(() => this.#data(event));
  }

  #data(event: string): unknown {
    return this.#messages.find((message) => message.event === event)?.data;
  }

  #refusal(): string | undefined {
    if (this.#closeCode === undefined) return undefined;
    const { message = '' } = (this.#data('pusher:error') ?? {}) as { message?: string };
    const code = codeOf(message);
    if (code === undefined) throw new Error(`closed with ${this.#closeCode}, saying "${message}"`);
    return `${this.#closeCode} ${code}`;
  }

  [Symbol.dispose](): void {
    this.#webSocket.terminate();
  }
}

/** A client that was let in. */
export async function opened(port: number, call: Call): Promise<Socket> {
  const socket = new Socket(port, call);
  const verdict = await socket.verdict();
  if (verdict !== 'in') throw new Error(`a socket was not let in: ${verdict}`);
  return socket;
}

/** One that is in a private channel, for which the app's token signed. */
export async function signedFor(port: number, call: Call): Promise<Socket> {
  const socket = await opened(port, call);
  const channel = 'private-orders';
  const body = JSON.stringify({ socket_id: await socket.socketId(), channel_name: channel });
  const path = `/api/v1/apps/${call.appId}/auth/channel`;
  const headers = { host: '127.0.0.1', ...methods.bearer(call).headers, ...call.headers };
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)) }).flat();
  const { text } = await send(port, { method: 'POST', path, lines }, body);
  await socket.subscribe(channel, (JSON.parse(text) as { auth: string }).auth);
  return socket;
}
