import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { channelSignatureHolds } from '../auth/channel-signature.ts';
import type { App } from '../directory/directory.ts';
import { refusalOf, type RefusalCode } from '../gate/refusals.ts';
import { takeToken, type Bucket } from '../limits/token-bucket.ts';
import { parseChannelName } from '../protocol/channel-name.ts';
import { judgeClientEvent } from '../protocol/client-event.ts';
import { parseClientMessage, type ClientMessage } from '../protocol/client-message.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import {
  CONNECTING,
  dueTimeout,
  step,
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionState,
} from '../protocol/connection.ts';
import { errorMessage } from '../protocol/server-message.ts';
import {
  stepSubscription,
  type SubscriptionEvent,
  type SubscriptionRefusal,
  type SubscriptionState,
} from '../protocol/subscription.ts';
import { textFrame } from '../protocol/text-frame.ts';
import type { Run } from './run.ts';
import type { Subscriber } from './fan-out.ts';
import type { Hub } from './hub.ts';

/**
 * One connection at the edge: feeds what happens on the wire to the two machines of protocol/ and runs the effects that they answer.
 * Writes go through the outbox straight to the TCP stream; `ws` parses what comes in and does pings and the close handshake. That is
 * safe because no extension is negotiated and nothing else queues on `ws`' own sender.
 */
export class RelaySocket implements Subscriber {
  readonly id: string;
  readonly appId: string;
  /** The app key that the client connected with; the socket lives no longer than it. */
  readonly key: string;
  waiting: Run | undefined;

  readonly #hub: Hub;
  readonly #webSocket: WebSocket;
  readonly #stream: Duplex;
  #state: ConnectionState = CONNECTING;
  #lastTrafficAt: number;
  #bucket: Bucket | undefined;
  /** The value's identity tells one attempt from the next: a late `joined` of an earlier one is dropped. */
  readonly #subscriptions = new Map<string, { state: SubscriptionState }>();

  constructor(hub: Hub, webSocket: WebSocket, stream: Duplex, id: string, appId: string, key: string) {
    this.#hub = hub;
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.id = id;
    this.appId = appId;
    this.key = key;
    this.#lastTrafficAt = hub.now();
    webSocket.on('message', (data: Buffer, isBinary: boolean) => this.#received(data, isBinary));
    webSocket.on('ping', () => this.#traffic({ type: 'controlFrame' }));
    webSocket.on('pong', () => this.#traffic({ type: 'controlFrame' }));
    webSocket.on('close', () => this.#happened({ type: 'peerClosed' }));
    // `ws` has already answered with the close code of RFC 6455 (1002, 1007, 1009); `close` follows.
    webSocket.on('error', () => undefined);
  }

  admit(): void {
    this.#happened({ type: 'admitted', socketId: this.id });
  }

  /** Ends the connection with `pusher:error` and the refusal's close code. */
  refuse(code: RefusalCode): void {
    const { close, message } = refusalOf(code);
    this.#happened({ type: 'closeOrdered', close: { code: close ?? CloseCode.reconnect, message } });
  }

  /** Resolves when the connection is gone, however it goes. */
  closed(): Promise<void> {
    if (this.#webSocket.readyState === this.#webSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => this.#webSocket.once('close', () => resolve()));
  }

  /** Called about every second. */
  checkLiveness(): void {
    const due = dueTimeout(this.#state, this.#lastTrafficAt, this.#hub.now());
    if (due !== undefined) this.#happened(due);
  }

  unsentBytes(): number {
    return this.#stream.writableLength;
  }

  write(bytes: Buffer): void {
    if (!this.#stream.destroyed) this.#stream.write(bytes);
  }

  tooSlow(): void {
    if (this.#state.phase === 'closed') return;
    this.#hub.refused('slow_consumer');
    this.refuse('slow_consumer');
  }

  #received(data: Buffer, isBinary: boolean): void {
    const message: ConnectionEvent = isBinary ? { type: 'binary' } : parseClientMessage(data.toString());
    this.#hub.metrics.clientMessages.inc({ type: message.type });
    this.#traffic(message);
  }

  #traffic(event: ConnectionEvent): void {
    this.#lastTrafficAt = this.#hub.now();
    this.#happened(event);
  }

  #happened(event: ConnectionEvent): void {
    const next = step(this.#state, event);
    this.#state = next.state;
    for (const effect of next.effects) this.#run(effect);
  }

  #run(effect: ConnectionEffect): void {
    switch (effect.do) {
      case 'send':
        return this.#send(effect.text);
      case 'subscribe':
        return this.#subscribe(effect.request);
      case 'unsubscribe':
        return this.#subscriptionHappened(effect.channel, { type: 'unsubscribe' });
      case 'clientEvent':
        return this.#clientEvent(effect.message);
      case 'close':
        return this.#close(effect.code, effect.message);
      case 'release':
        return this.#release();
    }
  }

  #send(text: string): void {
    this.#hub.outbox.push(this, textFrame(text));
  }

  #subscribe(request: Extract<ClientMessage, { type: 'subscribe' }>): void {
    const app = this.#hub.directory.appById(this.appId);
    const refusal = app === undefined ? NO_APP : this.#subscriptionRefusal(app, request);
    const event: SubscriptionEvent = refusal === undefined ? { type: 'requested' } : { type: 'refused', refusal };
    this.#subscriptionHappened(request.channel, event);
  }

  #subscriptionRefusal(
    app: App,
    { channel: name, auth, channelData }: Extract<ClientMessage, { type: 'subscribe' }>,
  ): SubscriptionRefusal | undefined {
    const channel = parseChannelName(name);
    if ('fault' in channel) {
      const type = channel.fault === 'not_served' ? 'NotServed' : 'InvalidChannel';
      return { type, message: channel.message, status: channel.fault === 'not_served' ? 403 : 400 };
    }
    if (channel.kind === 'public') return undefined;
    const signed = { socketId: this.id, channel: name, channelData };
    if (auth !== undefined && channelSignatureHolds(auth, signed, app.keys)) return undefined;
    return { type: 'AuthError', message: `Invalid signature for channel ${name}`, status: 401 };
  }

  #subscriptionHappened(channel: string, event: SubscriptionEvent): void {
    const subscription = this.#subscriptions.get(channel) ?? { state: 'none' };
    const next = stepSubscription(subscription.state, event, channel);
    subscription.state = next.state;
    if (next.state === 'none') this.#subscriptions.delete(channel);
    else this.#subscriptions.set(channel, subscription);
    for (const effect of next.effects) {
      if (effect.do === 'send') this.#send(effect.text);
      else if (effect.do === 'leave') this.#hub.leave(this, channel);
      else if (effect.do === 'attach') this.#hub.attach(this, channel);
      else void this.#join(channel, subscription);
    }
  }

  async #join(channel: string, subscription: { state: SubscriptionState }): Promise<void> {
    await this.#hub.join(this, channel);
    if (this.#subscriptions.get(channel) === subscription) this.#subscriptionHappened(channel, { type: 'joined' });
  }

  #clientEvent(message: Extract<ClientMessage, { type: 'clientEvent' }>): void {
    // Time alone closes a fence, so it is asked before every acceptance and not only when it is announced.
    if (this.#hub.directory.fenced()) return this.refuse('directory_fenced');
    const app = this.#hub.directory.appById(this.appId);
    if (app === undefined) return;
    const perSecond = app.limits.clientEventsPerSecond;
    const refusal = judgeClientEvent(
      {
        channel: message.channel,
        data: message.data,
        subscription: this.#subscriptions.get(message.channel)?.state ?? 'none',
        rules: { clientEvents: app.channels.clientEvents, eventBytes: app.limits.eventBytes, perSecond },
      },
      () => {
        const { bucket, taken } = takeToken(this.#bucket, { perSecond, burst: perSecond }, this.#hub.now());
        this.#bucket = bucket;
        return taken;
      },
    );
    if (refusal !== undefined) return this.#send(errorMessage(refusal.code, refusal.message));
    this.#hub.publish(this.appId, {
      name: message.event,
      data: message.data,
      channels: [message.channel],
      exceptSocketId: this.id,
    });
  }

  #close(code: number, message: string): void {
    this.#hub.outbox.flushOne(this);
    this.#webSocket.close(code, message);
  }

  #release(): void {
    for (const channel of this.#subscriptions.keys()) {
      this.#subscriptionHappened(channel, { type: 'connectionClosed' });
    }
    this.#hub.release(this);
  }
}

const NO_APP: SubscriptionRefusal = { type: 'AuthError', message: 'No such app', status: 401 };
