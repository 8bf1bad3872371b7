import { createHmac } from 'node:crypto';
import { WebSocket, type ClientOptions } from 'ws';
import { eventually } from '#test/parts/eventually.ts';

export type Received = {
  readonly event: string;
  readonly channel?: string;
  readonly data: unknown;
  readonly user_id?: string;
};

/** A bare protocol client: shows every frame and the close code, where an SDK would hide them. */
export class TestClient implements AsyncDisposable {
  readonly received: Received[] = [];
  closeCode: number | undefined;
  readonly webSocket: WebSocket;

  /** @param options of `ws`, such as the authority to trust */
  constructor(url: string, options: ClientOptions = {}) {
    this.webSocket = new WebSocket(url, { perMessageDeflate: false, ...options });
    this.webSocket.on('message', (data: Buffer) => this.received.push(JSON.parse(data.toString()) as Received));
    this.webSocket.on('close', (code) => {
      this.closeCode = code;
    });
    this.webSocket.on('error', () => undefined);
  }

  static async connected(port: number, key = 'appkey'): Promise<TestClient> {
    const client = new TestClient(`ws://127.0.0.1:${port}/app/${key}?protocol=7&client=test&version=1`);
    await client.event('pusher:connection_established');
    return client;
  }

  get socketId(): string {
    const established = this.received.find(({ event }) => event === 'pusher:connection_established');
    return (JSON.parse(String(established?.data)) as { socket_id: string }).socket_id;
  }

  send(message: unknown): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The first frame of that event (and channel), now or later. */
  event(event: string, channel?: string): Promise<Received> {
    return eventually(
      () =>
        this.received.find((frame) => frame.event === event && (channel === undefined || frame.channel === channel)),
      { describe: `${event} at a client that has ${JSON.stringify(this.received)}, close code ${this.closeCode}` },
    );
  }

  closed(): Promise<number> {
    return eventually(() => this.closeCode, { describe: 'the close code' });
  }

  async subscribe(channel: string, secret = 'appsecret', key = 'appkey'): Promise<void> {
    this.requestSubscription(channel, undefined, secret, key);
    await this.event('pusher_internal:subscription_succeeded', channel);
  }

  /** As a user, on a presence channel. */
  async join(channel: string, userId: string | number, userInfo?: unknown): Promise<void> {
    this.requestSubscription(channel, { user_id: userId, user_info: userInfo });
    await this.event('pusher_internal:subscription_succeeded', channel);
  }

  /** Does not wait for the answer. */
  requestSubscription(channel: string, member?: object, secret = 'appsecret', key = 'appkey'): void {
    const channelData = member === undefined ? undefined : JSON.stringify(member);
    const text = `${this.socketId}:${channel}${channelData === undefined ? '' : `:${channelData}`}`;
    const auth = /^(private|presence)-/.test(channel) ? signed(text, secret, key) : undefined;
    this.send({ event: 'pusher:subscribe', data: { channel, auth, channel_data: channelData } });
  }

  unsubscribe(channel: string): void {
    this.send({ event: 'pusher:unsubscribe', data: { channel } });
  }

  /** Does not wait for the answer. */
  requestSignin(user: object, secret = 'appsecret', key = 'appkey'): void {
    const userData = JSON.stringify(user);
    const auth = signed(`${this.socketId}::user::${userData}`, secret, key);
    this.send({ event: 'pusher:signin', data: { auth, user_data: userData } });
  }

  async signin(user: object): Promise<void> {
    this.requestSignin(user);
    await this.event('pusher:signin_success');
  }

  /** Data of all frames of that event (and channel) so far, read as JSON. */
  all(event: string, channel?: string): unknown[] {
    return this.received
      .filter((frame) => frame.event === event && (channel === undefined || frame.channel === channel))
      .map(({ data }) => (typeof data === 'string' && data !== '' ? (JSON.parse(data) as unknown) : data));
  }

  /** A round trip: whatever was sent before it has been answered by now. */
  async settled(): Promise<void> {
    const before = this.received.filter(({ event }) => event === 'pusher:pong').length;
    this.send({ event: 'pusher:ping', data: {} });
    await eventually(() => this.received.filter(({ event }) => event === 'pusher:pong').length > before);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.webSocket.terminate();
    return Promise.resolve();
  }
}

const signed = (text: string, secret: string, key: string): string =>
  `${key}:${createHmac('sha256', secret).update(text).digest('hex')}`;
