import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { IpAddress } from '../access/ip-address.ts';
import type { PresentedCertificate } from '../access/presented-certificate.ts';
import { userSignatureHolds } from '../auth/user-signature.ts';
import { countConnect, countSignature } from '../credential-use/count-socket.ts';
import type { App } from '../directory/directory.ts';
import { refusalOf, type RefusalCode } from '../gate/refusals.ts';
import { parseClientMessage, type ClientMessage } from '../protocol/client-message.ts';
import { CloseCode, closeReason, type Close } from '../protocol/close-codes.ts';
import {
  CONNECTING,
  dueTimeout,
  step,
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionState,
} from '../protocol/connection.ts';
import { judgeSignin } from '../protocol/signin.ts';
import { textFrame } from '../protocol/text-frame.ts';
import type { User } from '../protocol/user-data.ts';
import { ClientEvents } from './client-events.ts';
import type { Subscriber } from './fan-out.ts';
import type { Hub } from './hub.ts';
import type { Pace } from './pace.ts';
import type { Run } from './run.ts';
import { Subscriptions } from './subscriptions.ts';

export type SocketFacts = {
  readonly id: string;
  readonly appId: string;
  readonly key: string;
  readonly client: string | undefined;
  readonly address: IpAddress | undefined;
  readonly origin: string | undefined;
  readonly certificate: PresentedCertificate | undefined;
  /** It answers pusher:ping. */
  readonly speaksPing: boolean;
};

/** One for all sockets that rely on no token, which are nearly all. */
const NONE: readonly string[] = [];

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
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  /** Name and version of the client library, as it says; undefined: it does not. */
  readonly client: string | undefined;
  /** Where the client is, for rules that come later; undefined: it cannot be told. */
  readonly address: IpAddress | undefined;
  /** The page's, for the same reason; undefined: it named none. */
  readonly origin: string | undefined;
  /** That it came with; undefined: none. */
  readonly certificate: PresentedCertificate | undefined;
  waiting: Run | undefined;

  readonly #hub: Hub;
  readonly #webSocket: WebSocket;
  readonly #stream: Duplex;
  readonly #speaksPing: boolean;
  #state: ConnectionState = CONNECTING;
  #lastTrafficAt: number;
  #clientEvents: ClientEvents | undefined;
  /** Undefined: it has sent nothing yet, as most sockets for long. */
  #pace: Pace | undefined;
  #user: User | undefined;
  #relayTokens: readonly string[] = NONE;
  #subscriptions: Subscriptions | undefined;

  constructor(hub: Hub, webSocket: WebSocket, stream: Duplex, facts: SocketFacts) {
    this.#hub = hub;
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.id = facts.id;
    this.appId = facts.appId;
    this.key = facts.key;
    this.client = facts.client;
    this.address = facts.address;
    this.origin = facts.origin;
    this.certificate = facts.certificate;
    this.#speaksPing = facts.speaksPing;
    this.connectedAt = hub.wallClock();
    this.#lastTrafficAt = hub.now();
    webSocket.on('message', (data: Buffer, isBinary: boolean) => this.#received(data, isBinary));
    webSocket.on('ping', () => this.#traffic({ type: 'controlFrame' }));
    webSocket.on('pong', () => this.#traffic({ type: 'controlFrame' }));
    webSocket.on('close', () => this.#guarded({ type: 'peerClosed' }));
    // `ws` has already answered with the close code of RFC 6455 (1002, 1007, 1009); `close` follows.
    webSocket.on('error', () => undefined);
  }

  /** The RelayTokens that signed for its subscriptions and its sign-in; it lives no longer than each of them. */
  get relayTokens(): readonly string[] {
    return this.#relayTokens;
  }

  relyOn(relayToken: string | undefined): void {
    if (relayToken === undefined || this.#relayTokens.includes(relayToken)) return;
    this.#relayTokens = [...this.#relayTokens, relayToken];
  }

  /** Who it is signed in as. */
  get userId(): string | undefined {
    return this.#user?.id;
  }

  /** Channels that it is subscribed to; no pseudo-channels. */
  *channels(): Iterable<string> {
    for (const name of this.#subscriptions?.names() ?? []) if (!name.startsWith('#')) yield name;
  }

  admit(): void {
    countConnect(this.#hub, this);
    this.#happened({ type: 'admitted', socketId: this.id });
  }

  /** Ends the connection with `pusher:error` and the refusal's close code. */
  refuse(code: RefusalCode): void {
    const { close, message } = refusalOf(code);
    this.#happened({ type: 'closeOrdered', close: { code: close ?? CloseCode.reconnect, message } });
  }

  /** Something threw while this socket was served: it is told to connect again (4200), or cut when even that fails. */
  failed(error: unknown): void {
    this.#hub.failed(this, error);
    try {
      this.refuse('internal');
    } catch (again) {
      this.#hub.failed(this, again);
      this.#webSocket.terminate();
    }
  }

  /** Resolves when the connection is gone, however it goes. */
  closed(): Promise<void> {
    if (this.#webSocket.readyState === this.#webSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => this.#webSocket.once('close', () => resolve()));
  }

  /** Called about every second. */
  checkLiveness(): void {
    const due = dueTimeout(this.#state, this.#lastTrafficAt, this.#hub.now(), this.#speaksPing);
    if (due !== undefined) this.#happened(due);
  }

  send(text: string): void {
    this.sendFrame(textFrame(text));
  }

  /** @param frame may be shared by many sockets. */
  sendFrame(frame: Buffer): void {
    this.#hub.outbox.push(this, frame);
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
    this.#hub.usage.of(this.appId).messagesIn += 1;
    this.#traffic(message);
  }

  #traffic(event: ConnectionEvent): void {
    this.#lastTrafficAt = this.#hub.now();
    this.#pace ??= this.#hub.paceOf(this.appId, this.#webSocket);
    this.#pace.count();
    this.#guarded(event);
  }

  /** What comes from the wire ends at worst this connection. */
  #guarded(event: ConnectionEvent): void {
    try {
      this.#happened(event);
    } catch (error) {
      this.failed(error);
    }
  }

  #happened(event: ConnectionEvent): void {
    const next = step(this.#state, event);
    this.#state = next.state;
    for (const effect of next.effects) this.#run(effect);
  }

  #run(effect: ConnectionEffect): void {
    switch (effect.do) {
      case 'send':
        return this.send(effect.text);
      case 'subscribe':
        this.#subscriptions ??= new Subscriptions(this.#hub, this);
        return this.#subscriptions.subscribe(effect.request, this.#user);
      case 'unsubscribe':
        return this.#subscriptions?.unsubscribe(effect.channel);
      case 'signin':
        return this.#signIn(effect.request);
      case 'clientEvent':
        this.#clientEvents ??= new ClientEvents(this.#hub, this);
        return this.#clientEvents.publish(effect.message, this.#subscriptions);
      case 'pingFrame':
        return this.#webSocket.ping();
      case 'close':
        return this.#close(effect.code, effect.message);
      case 'release':
        return this.#release();
    }
  }

  #signIn(request: Extract<ClientMessage, { type: 'signin' }>): void {
    const app = this.#hub.directory.appById(this.appId);
    if (app === undefined) return;
    const former = this.#user;
    const judged = judgeSignin({
      request,
      socketId: this.id,
      keys: app.keys,
      relayTokenOf: (tokenId) => this.#hub.relayTokenOf(app.appId, tokenId),
      user: former,
      now: this.#hub.wallClock(),
    });
    const user = 'code' in judged ? judged : this.#screenedUser(app, judged.user);
    if ('code' in user) return this.#happened({ type: 'closeOrdered', close: user });
    if ('relayToken' in judged) this.relyOn(judged.relayToken);
    this.#user = user;
    const { auth, userData } = request;
    countSignature(this.#hub, this.appId, auth, (key) =>
      userSignatureHolds(auth, { socketId: this.id, userData }, [key], this.#hub.wallClock()),
    );
    const isCurrent = (): boolean => this.#user === user;
    this.#hub.users.signIn(this, { user, userData, former, isCurrent }).catch((error: unknown) => this.failed(error));
  }

  /** Only what other members may come to see of the user. */
  #screenedUser(app: App, user: User): User | Close {
    if (user.info === undefined) return user;
    const screened = this.#hub.screening.screen(app, 'user_info', user.info, 'user_info');
    if ('text' in screened) return { ...user, info: screened.text };
    return { code: CloseCode.unauthorized, message: `Sign-in rejected: found ${screened.refusal}` };
  }

  #close(code: number, message: string): void {
    this.#hub.outbox.flushOne(this);
    this.#webSocket.close(code, closeReason(message));
  }

  #release(): void {
    const user = this.#user;
    this.#user = undefined;
    this.#subscriptions?.close();
    if (user !== undefined) this.#hub.users.signOut(this, user.id);
    this.#hub.release(this);
  }
}
