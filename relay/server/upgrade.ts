import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer, type WebSocket } from 'ws';
import type { ClientCertificates } from '../access/client-certificates.ts';
import { countryFor, type Geography } from '../access/countries.ts';
import { originOf } from '../access/origins.ts';
import { hasDuplicatedSecurityHeader } from '../access/security-headers.ts';
import type { TrustedProxies } from '../access/trusted-proxies.ts';
import type { SecurityEvents } from '../activity/security-events.ts';
import type { App, Directory } from '../directory/directory.ts';
import { firstRefusal } from '../gate/gate.ts';
import { refusalOf, type RefusalCode } from '../gate/refusals.ts';
import { registrationOf, servingState, type WebSocketVisit } from '../gate/visit.ts';
import type { RateLimiter } from '../limits/rate-limiter.ts';
import { connectSubject, type RateSettings } from '../limits/rate-subject.ts';
import type { Occupancy } from '../occupancy/occupancy.ts';
import { CloseCode, closeReason } from '../protocol/close-codes.ts';
import { speaksPing } from '../protocol/connection.ts';
import { errorMessage } from '../protocol/server-message.ts';
import { socketId } from '../protocol/socket-id.ts';
import type { Hub } from './hub.ts';
import { countRefusal } from './metrics.ts';
import { bareRefusal } from './refuse.ts';
import { requestIds } from './request-id.ts';
import { RelaySocket } from './socket.ts';

export type UpgradeParts = {
  readonly log: Logger;
  readonly hub: Hub;
  readonly directory: Directory;
  readonly proxies: TrustedProxies;
  readonly certificates: ClientCertificates;
  readonly geography: Geography;
  /** Whether a handshake lacks the TLS that this relay wants. */
  readonly tlsMissing: (request: IncomingMessage) => boolean;
  readonly occupancy: Occupancy;
  readonly draining: () => boolean;
  readonly limiter: RateLimiter;
  readonly rates: RateSettings;
  readonly securityEvents: SecurityEvents;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

/** Channel name, auth and channel_data of a subscribe message, with room to spare. */
const CONTROL_MESSAGE_BYTES = 64 * 1024;
/** Time that a client has to answer a close frame before its TCP connection is cut. */
const CLOSE_GRACE_MS = 1_000;

/**
 * The WebSocket door, `GET /app/{key}`. Refusals are told inside the WebSocket, as `pusher:error` and close code: a browser cannot see the
 * status of a failed handshake, and the codes are what SDKs act upon.
 */
export class Upgrade {
  readonly #parts: UpgradeParts;
  /** One per message limit, because `ws` takes the limit from its server. Few: apps share values. */
  readonly #servers = new Map<number, WebSocketServer>();
  readonly #texts = new Map<string, string>();
  readonly #requestId = requestIds();

  constructor(parts: UpgradeParts) {
    this.#parts = parts;
  }

  /** Listener for `upgrade` of an http.Server. Never throws. */
  readonly handle = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    // Until `ws` takes over, a reset would otherwise be an unhandled error.
    stream.on('error', ignore);
    const code = handshakeFault(request);
    if (code !== undefined) return this.#refuseHandshake(request, stream, code);
    const target = parseTarget(request.url ?? '');
    const app = target === undefined ? undefined : this.#parts.directory.appByKey(target.key);
    const facts: Facts = {
      address: this.#parts.proxies.clientOf(request, true),
      tlsMissing: this.#parts.tlsMissing(request),
      duplicatedHeader: hasDuplicatedSecurityHeader(request.rawHeaders),
      origin: originOf(request.headers.origin),
      // Also for an app that asks for none: it may do so while the socket is open.
      certificate: this.#parts.certificates.of(request),
    };
    this.#serverFor(app).handleUpgrade(request, stream, head, (webSocket) => {
      stream.off('error', ignore);
      if (target === undefined) this.#turnAway(webSocket, facts.tlsMissing ? 'tls_required' : 'path_unknown');
      else {
        this.#arrived(webSocket, stream, app, { ...target, ...facts }).catch((error: unknown) => {
          this.#parts.log.error({ err: error }, 'admitting a connection failed');
          webSocket.terminate();
        });
      }
    });
  };

  async #arrived(webSocket: WebSocket, stream: Duplex, app: App | undefined, target: Arrival): Promise<void> {
    const { hub, directory, geography, occupancy, draining, limiter, rates, securityEvents, wallClock } = this.#parts;
    const visit: WebSocketVisit = {
      door: 'websocket',
      serving: servingState(directory, draining()),
      app,
      credential: { method: 'publicKey', key: target.key },
      address: target.address,
      country: countryFor(app?.access, target.address, geography),
      origin: target.origin,
      certificate: target.certificate,
      registration: registrationOf(directory, app, target.certificate),
      tlsMissing: target.tlsMissing,
      duplicatedHeader: target.duplicatedHeader,
      protocol: target.protocol,
      now: wallClock(),
      withinRate: true,
      withinQuota: true,
    };
    const refusal = firstRefusal(visit, 'arrival');
    if (refusal !== undefined && app !== undefined) securityEvents.refused(app.appId, visit.door, refusal);
    if (refusal !== undefined || app === undefined) return this.#turnAway(webSocket, refusal ?? 'app_unknown');

    const subject = connectSubject(app, rates);
    const decision = subject === undefined ? undefined : limiter.take(subject);
    if (decision !== undefined && !(decision instanceof Promise) && !decision.admitted) {
      const code = firstRefusal({ ...visit, withinRate: false }, 'counted');
      if (code !== undefined) return this.#turnAway(webSocket, code);
    }
    // From now on it is heard and counted, also while it waits for a verdict.
    const id = socketId(randomBytes(16));
    const socket = new RelaySocket(hub, webSocket, stream, {
      id,
      appId: app.appId,
      // The app's own text: a piece of the URL would keep the whole URL in memory.
      key: app.keys.find(({ key }) => key === target.key)?.key ?? target.key,
      client: this.#interned(target.client),
      address: target.address,
      origin: this.#interned(target.origin),
      certificate: target.certificate,
      speaksPing: speaksPing(target.protocol),
    });
    hub.add(socket);
    const refuse = (code: RefusalCode): void => {
      countRefusal(hub.metrics, 'websocket', code);
      socket.refuse(code);
    };
    if (decision instanceof Promise) {
      const { admitted } = await decision;
      const code = firstRefusal({ ...visit, withinRate: admitted }, 'counted');
      if (code !== undefined) return refuse(code);
    }
    const limit = app.limits.connections;
    if (limit !== null) {
      const gone = (): boolean => webSocket.readyState !== webSocket.OPEN;
      const withinQuota = await occupancy.admit(app.appId, limit, gone);
      const code = firstRefusal({ ...visit, withinQuota }, 'counted');
      if (code !== undefined) return refuse(code);
    }
    socket.admit();
  }

  /** One text for all sockets of a client library's version, or of a page. */
  #interned(text: string | undefined): string | undefined {
    if (text === undefined) return undefined;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size < MAX_INTERNED_TEXTS) this.#texts.set(text, text);
    return text;
  }

  /** Before there is a WebSocket: in HTTP. */
  #refuseHandshake({ headers }: IncomingMessage, stream: Duplex, code: HandshakeFault, message?: string): void {
    countRefusal(this.#parts.hub.metrics, 'websocket', code);
    // Whole, although the client may keep its half open.
    stream.once('finish', () => stream.destroy());
    stream.end(bareRefusal(code, this.#requestId(headers), message, ANSWERED_WITH[code]));
  }

  #turnAway(webSocket: WebSocket, code: RefusalCode): void {
    countRefusal(this.#parts.hub.metrics, 'websocket', code);
    const { close, message } = refusalOf(code);
    const closeCode = close ?? CloseCode.unauthorized;
    webSocket.on('error', ignore);
    webSocket.send(errorMessage(closeCode, message));
    webSocket.close(closeCode, closeReason(message));
  }

  #serverFor(app: App | undefined): WebSocketServer {
    const maxPayload = CONTROL_MESSAGE_BYTES + 6 * (app?.limits.eventBytes ?? 0);
    const known = this.#servers.get(maxPayload);
    if (known !== undefined) return known;
    // A variable, because @types/ws does not know `closeTimeout` (ws ≥ 8.19) yet.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      closeTimeout: CLOSE_GRACE_MS,
      maxPayload,
    };
    const server = new WebSocketServer(options);
    server.on('headers', (lines, { headers }) => lines.push(`X-Request-Id: ${this.#requestId(headers)}`));
    server.on('wsClientError', ({ message }, stream, request) =>
      this.#refuseHandshake(request, stream, 'request_malformed', `The handshake is not valid: ${message}.`),
    );
    this.#servers.set(maxPayload, server);
    return server;
  }
}

type HandshakeFault = 'request_malformed' | 'method_not_allowed' | 'websocket_version_unsupported';

/** Headers of the answer. 4.4: who speaks another version is told the one that is spoken here. */
const ANSWERED_WITH: Readonly<Record<HandshakeFault, string>> = {
  request_malformed: '',
  method_not_allowed: 'Allow: GET\r\n',
  websocket_version_unsupported: 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n',
};

/** What RFC 6455 refuses and `ws` lets pass or answers otherwise (it speaks the draft version 8 too): 4.1, a GET of HTTP/1.1 at least. */
function handshakeFault({ method, httpVersion, headers }: IncomingMessage): HandshakeFault | undefined {
  if (httpVersion === '1.0') return 'request_malformed';
  if (method !== 'GET') return 'method_not_allowed';
  return headers['sec-websocket-version'] === '13' ? undefined : 'websocket_version_unsupported';
}

/** What the head of the handshake says. */
type Facts = Pick<WebSocketVisit, 'address' | 'tlsMissing' | 'duplicatedHeader' | 'origin' | 'certificate'>;

type Arrival = Target & Facts;

type Target = { readonly key: string; readonly protocol: string | undefined; readonly client: string | undefined };

/** Clients may say anything; what is no common version is kept per socket. */
const MAX_INTERNED_TEXTS = 200;
const CLIENT_PATTERN = /^[\x20-\x7e]{1,64}$/;

function parseTarget(url: string): Target | undefined {
  const [path = '', query = ''] = url.split('?', 2);
  const key = /^\/app\/([^/]+)$/.exec(path)?.[1];
  if (key === undefined) return undefined;
  const parameters = new URLSearchParams(query);
  const client = `${parameters.get('client') ?? ''} ${parameters.get('version') ?? ''}`.trim();
  return {
    key,
    protocol: parameters.get('protocol') ?? undefined,
    client: CLIENT_PATTERN.test(client) ? client : undefined,
  };
}

const ignore = (): void => undefined;
