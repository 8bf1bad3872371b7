import type { Scope } from '#crds/scopes.ts';
import type { IpAddress } from '../access/ip-address.ts';
import type { PresentedCertificate } from '../access/presented-certificate.ts';
import type { PresentedCredential } from '../auth/presented-credential.ts';
import type { QueryParameter } from '../auth/request-signature.ts';
import type { App, ClientCertificate, Directory, Token } from '../directory/directory.ts';

/**
 * Everything that the gate's checks may look at, gathered before the first of them runs, so that each check is a pure function of it.
 * Three doors: an HTTP request, a WebSocket upgrade, and a socket that is already open when a rule changes.
 */
export type Door = 'http' | 'websocket' | 'live';

type Common = {
  readonly serving: 'yes' | 'draining' | 'not_ready' | 'fenced';
  readonly app: App | undefined;
  readonly credential: PresentedCredential;
  /** Of the client, behind the proxies that are trusted. undefined: it cannot be told, or (HTTP) no rule of the app asks for it. */
  readonly address: IpAddress | undefined;
  /** Where that is, ISO 3166-1 alpha-2; undefined: it is not known, or no rule of the app asks for it. */
  readonly country: string | undefined;
  /** Of the page that asks, canonical; undefined: no Origin header. */
  readonly origin: string | undefined;
  /** The certificate that the client came with; undefined: none, or (HTTP) the app asks for none. */
  readonly certificate: PresentedCertificate | undefined;
  /** What the directory knows of that one as a certificate of this app; undefined: nothing. */
  readonly registration: ClientCertificate | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
};

export type HttpVisit = Common & {
  readonly door: 'http';
  /** It came in plaintext, and this relay wants TLS. */
  readonly tlsMissing: boolean;
  readonly token: Token | undefined;
  /** What the endpoint asks of a token. */
  readonly scope: Scope;
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  readonly parameters: readonly QueryParameter[];
  readonly duplicatedHeader: boolean;
  readonly contentType: string | undefined;
  /** Announced by Content-Length; undefined when it is not. */
  readonly announcedBytes: number | undefined;
  /** Empty until the body is complete: only checks of stage `complete` may look. */
  readonly body: Buffer;
  /** Whether the budget that it draws on had something left. True until it was asked: only checks of stage `counted` may look. */
  readonly withinRate: boolean;
};

export type WebSocketVisit = Common & {
  readonly door: 'websocket';
  /** As for requests. */
  readonly tlsMissing: boolean;
  readonly duplicatedHeader: boolean;
  readonly protocol: string | undefined;
  /** As for requests, of the app's budget for connects. */
  readonly withinRate: boolean;
  /** Whether the app may hold this socket too. True until it was counted: only checks of stage `counted` may look. */
  readonly withinQuota: boolean;
};

export type LiveVisit = Common & {
  readonly door: 'live';
  /** Whether every RelayToken that signed for its subscriptions or its sign-in still has a token that is let in. */
  readonly relayTokensAccepted: boolean;
};

export type Visit = HttpVisit | WebSocketVisit | LiveVisit;
export type VisitOf<D extends Door> = Extract<Visit, { door: D }>;

export function servingState(directory: Directory, draining: boolean): Common['serving'] {
  if (draining) return 'draining';
  if (directory.fenced()) return 'fenced';
  return directory.ready() ? 'yes' : 'not_ready';
}

/** Another app's certificate is none of this one's. */
export function registrationOf(
  directory: Directory,
  app: App | undefined,
  certificate: PresentedCertificate | undefined,
): ClientCertificate | undefined {
  if (app === undefined || certificate === undefined || !('sha256' in certificate)) return undefined;
  return directory.certificateOf(app.appId, certificate.sha256);
}
