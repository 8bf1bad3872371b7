import type { IncomingMessage } from 'node:http';
import type { Scope } from '#crds/scopes.ts';
import { asksForAddress, asksForCertificate } from '../access/app-access.ts';
import type { ClientCertificates } from '../access/client-certificates.ts';
import { countryFor, type Geography } from '../access/countries.ts';
import { originOf } from '../access/origins.ts';
import { hasDuplicatedSecurityHeader } from '../access/security-headers.ts';
import type { TrustedProxies } from '../access/trusted-proxies.ts';
import type { SecurityEvents } from '../activity/security-events.ts';
import { parseQuery } from '../auth/request-signature.ts';
import { presentedCredential, type PresentedCredential } from '../auth/presented-credential.ts';
import { countRequest } from '../credential-use/count-request.ts';
import type { CredentialUses } from '../credential-use/use-tally.ts';
import { maxBodyBytes } from '../gate/checks/body-size.ts';
import type { App, Directory } from '../directory/directory.ts';
import type { Stage } from '../gate/check.ts';
import { firstRefusal } from '../gate/gate.ts';
import { registrationOf, servingState, type HttpVisit } from '../gate/visit.ts';
import type { RateDecision } from '../limits/budget.ts';
import { rateLimitHeaders } from '../limits/rate-headers.ts';
import type { RateLimiter } from '../limits/rate-limiter.ts';
import { requestSubject, type RateSettings } from '../limits/rate-subject.ts';
import type { Tallies } from '../usage/usage.ts';
import type { Answer } from './answer.ts';
import { Refused } from './refuse.ts';
import { readBody } from './request-body.ts';
import { rotationHeaders } from './rotation-headers.ts';
import { endOfTurn } from './turn.ts';

export type HttpGateParts = {
  readonly directory: Directory;
  readonly proxies: TrustedProxies;
  readonly certificates: ClientCertificates;
  readonly geography: Geography;
  /** Whether a request lacks the TLS that this relay wants. */
  readonly tlsMissing: (request: IncomingMessage) => boolean;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
  readonly usage: Tallies;
  readonly credentialUses: CredentialUses;
  readonly limiter: RateLimiter;
  readonly rates: RateSettings;
  readonly securityEvents: SecurityEvents;
};

/** How a route says which app it is about. */
export type AppOf = (directory: Directory, params: unknown, credential: PresentedCredential) => App | undefined;

/** `:appId` in the path. */
export const appInPath: AppOf = (directory, params) => {
  const appId = typeof params === 'object' && params !== null && 'appId' in params ? params.appId : undefined;
  return typeof appId === 'string' ? directory.appById(appId) : undefined;
};

/** `auth_key` of a signed request: for the one path that an SDK asks for without the app's id. */
export const appOfKey: AppOf = (directory, _params, credential) =>
  credential.method === 'signature' || credential.method === 'keyAndSecret'
    ? directory.appByKey(credential.key)
    : undefined;

/** What the gate asks of a route. */
export type RouteRule = { readonly scope: Scope; readonly appOf: AppOf };

/** A request at the door: of what the gate looks at, two things become known only on the way. */
type Arriving = Omit<HttpVisit, 'body' | 'withinRate'> & { body: Buffer; withinRate: boolean };

const NO_BODY = Buffer.alloc(0);
/** What waited longer may have outlived anything: an end by the clock, a country. */
const WAIT_MS = 1_000;

/**
 * The door of one route: its head is judged before a byte of the body is read, the rest when it is there. Bodies are the raw bytes that
 * were signed, whatever their type.
 */
export class HttpGate {
  readonly #parts: HttpGateParts;
  readonly #rule: RouteRule;

  constructor(parts: HttpGateParts, rule: RouteRule) {
    this.#parts = parts;
    this.#rule = rule;
  }

  /**
   * The visit of a request that passed, counted as a call of its app. Rejects with {@link Refused}.
   * @param answer is told what is left of the budget that the request drew on.
   */
  async admit(request: IncomingMessage, params: unknown, answer: Answer): Promise<HttpVisit> {
    let visit: Arriving = this.#arrive(request, params);
    this.#judge(visit, 'arrival');
    if (visit.token?.rotated === true) rotationHeaders(answer, visit.token, visit.now);
    // A signature is of this request only if the body is the one that was signed.
    const signed = visit.credential.method === 'signature';
    if (!signed) await this.#count(visit, answer);
    if (visit.method !== 'GET') {
      const body = await bodyOf(request, visit);
      await endOfTurn();
      visit.body = body;
    }
    visit = this.#asOfNow(visit, request, params);
    this.#judge(visit, 'complete');
    const counting = signed ? this.#count(visit, answer) : undefined;
    if (counting !== undefined) {
      await counting;
      visit = this.#asOfNow(visit, request, params);
    }
    if (visit.app !== undefined) {
      this.#parts.usage.of(visit.app.appId).apiCalls += 1;
      countRequest(this.#parts.credentialUses, visit.app, visit, request.headers);
    }
    return visit;
  }

  /**
   * After a wait, for a body or for the store of the budgets: who was let in by a rule, or with a credential, that was there when it began must
   * not be served when that is gone.
   */
  #asOfNow(visit: Arriving, request: IncomingMessage, params: unknown): Arriving {
    if (!this.#isOutdated(visit)) return visit;
    const again: Arriving = { ...this.#arrive(request, params), body: visit.body };
    this.#judge(again, 'arrival');
    return again;
  }

  /** Whether its head would perhaps be judged otherwise now. */
  #isOutdated({ app, credential, token, certificate, registration, now }: HttpVisit): boolean {
    const { directory, wallClock } = this.#parts;
    return (
      app === undefined ||
      directory.fenced() ||
      directory.appById(app.appId) !== app ||
      (credential.method === 'bearer' && directory.tokenByHash(credential.sha256) !== token) ||
      registrationOf(directory, app, certificate) !== registration ||
      wallClock() - now >= WAIT_MS
    );
  }

  #judge(visit: HttpVisit, stage: Stage): void {
    const refusal = firstRefusal(visit, stage);
    if (refusal === undefined) return;
    if (visit.app !== undefined) this.#parts.securityEvents.refused(visit.app.appId, visit.door, refusal);
    const { scope } = this.#rule;
    throw refusal === 'scope_missing'
      ? new Refused(refusal, `The token lacks the scope ${scope}.`)
      : new Refused(refusal);
  }

  /** Spends one of the budget that the request draws on; on every answer stands what is left of it. */
  #count(visit: Arriving, answer: Answer): Promise<void> | undefined {
    const { limiter, rates } = this.#parts;
    const subject = visit.app === undefined ? undefined : requestSubject(visit.app, visit.token, rates);
    if (subject === undefined) {
      this.#judge(visit, 'counted');
      return undefined;
    }
    const told = (decision: RateDecision): void => {
      const { policy, limit } = rateLimitHeaders(subject, decision);
      answer.header('ratelimit-policy', policy);
      answer.header('ratelimit', limit);
      if (!decision.admitted) answer.header('retry-after', String(decision.nextInSeconds));
      visit.withinRate = decision.admitted;
      this.#judge(visit, 'counted');
    };
    const decision = limiter.take(subject);
    if (decision instanceof Promise) return decision.then(told);
    told(decision);
    return undefined;
  }

  #arrive(request: IncomingMessage, params: unknown): HttpVisit {
    const { directory, proxies, certificates, geography, tlsMissing, wallClock } = this.#parts;
    const { scope, appOf } = this.#rule;
    const { method = '', url = '', headers, rawHeaders } = request;
    const mark = url.indexOf('?');
    const parameters = mark < 0 ? [] : parseQuery(url.slice(mark + 1));
    const credential = presentedCredential(
      {
        authorization: headers.authorization,
        relayKey: single(headers['x-relay-key']),
        relaySecret: single(headers['x-relay-secret']),
      },
      parameters,
    );
    const announced = headers['content-length'];
    const app = appOf(directory, params, credential);
    const address = proxies.clientOf(request, asksForAddress(app?.access));
    const certificate = asksForCertificate(app?.access) ? certificates.of(request) : undefined;
    return {
      door: 'http',
      tlsMissing: tlsMissing(request),
      serving: servingState(directory, false),
      app,
      credential,
      origin: originOf(headers.origin),
      address,
      country: countryFor(app?.access, address, geography),
      certificate,
      registration: registrationOf(directory, app, certificate),
      token: credential.method === 'bearer' ? directory.tokenByHash(credential.sha256) : undefined,
      scope,
      method,
      path: mark < 0 ? url : url.slice(0, mark),
      parameters,
      duplicatedHeader: hasDuplicatedSecurityHeader(rawHeaders),
      contentType: headers['content-type'],
      announcedBytes: announced === undefined ? undefined : Number(announced),
      body: NO_BODY,
      withinRate: true,
      now: wallClock(),
    };
  }
}

/** `type/subtype`, and whatever parameters (RFC 9110, 8.3.1). */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/;

function bodyOf(request: IncomingMessage, { app, contentType }: HttpVisit): Promise<Buffer> {
  if (contentType !== undefined && contentType !== 'application/json' && !MEDIA_TYPE.test(contentType)) {
    throw new Refused('request_malformed');
  }
  return readBody(request, app === undefined ? 0 : maxBodyBytes(app));
}

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
