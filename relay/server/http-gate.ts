import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  onRequestHookHandler,
  preHandlerHookHandler,
} from 'fastify';
import type { Scope } from '#crds/scopes.ts';
import { asksForAddress, asksForCertificate } from '../access/app-access.ts';
import type { ClientCertificates } from '../access/client-certificates.ts';
import { countryFor, type Geography } from '../access/countries.ts';
import { originOf } from '../access/origins.ts';
import { hasDuplicatedSecurityHeader } from '../access/security-headers.ts';
import type { TrustedProxies } from '../access/trusted-proxies.ts';
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
import { Refused } from './refuse.ts';
import { readBody } from './request-body.ts';
import { rotationHeaders } from './rotation-headers.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the gate on every route that it guards. */
    visit: HttpVisit | undefined;
  }
}

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

type Done = (error?: Error) => void;

const NO_BODY = Buffer.alloc(0);

/** Once per scope: bodies arrive as the raw bytes that were signed, whatever their type, and are read only after the head was judged. */
export function readRawBodies(scope: FastifyInstance): void {
  scope.decorateRequest('visit', undefined);
  scope.removeAllContentTypeParsers();
  const parser = (
    request: FastifyRequest,
    payload: Readable,
    done: (error: Error | null, body?: Buffer) => void,
  ): void => {
    const app = request.visit?.app;
    readBody(payload, app === undefined ? 0 : maxBodyBytes(app), done);
  };
  // By its name as well: Fastify looks a type up, but tries all others before it comes to the wildcard.
  scope.addContentTypeParser(['application/json', '*'], parser);
}

/** Hooks that put one route behind the gate: the head is judged before a byte of the body is read, the rest when it is there. */
export function guard(
  {
    directory,
    proxies,
    certificates,
    geography,
    tlsMissing,
    wallClock,
    usage,
    credentialUses,
    limiter,
    rates,
  }: HttpGateParts,
  { scope, appOf }: { readonly scope: Scope; readonly appOf: AppOf },
): { readonly onRequest: onRequestHookHandler; readonly preHandler: preHandlerHookHandler } {
  const judge = (visit: HttpVisit, stage: Stage, done: Done): void => {
    const refusal = firstRefusal(visit, stage);
    if (refusal === undefined) done();
    else if (refusal === 'scope_missing') done(new Refused(refusal, `The token lacks the scope ${scope}.`));
    else done(new Refused(refusal));
  };
  /** Spends one of the budget that the request draws on; on every answer stands what is left of it. */
  const count = (visit: HttpVisit, reply: FastifyReply, done: Done): void => {
    const subject = visit.app === undefined ? undefined : requestSubject(visit.app, visit.token, rates);
    if (subject === undefined) return judge(visit, 'counted', done);
    const told = (decision: RateDecision): void => {
      const { policy, limit } = rateLimitHeaders(subject, decision);
      void reply.header('ratelimit-policy', policy).header('ratelimit', limit);
      if (decision.admitted) return judge(visit, 'counted', done);
      void reply.header('retry-after', decision.nextInSeconds);
      judge({ ...visit, withinRate: false }, 'counted', done);
    };
    const decision = limiter.take(subject);
    if (decision instanceof Promise) decision.then(told, done);
    else told(decision);
  };
  return {
    onRequest: (request: FastifyRequest, reply: FastifyReply, done) => {
      const now = wallClock();
      const visit = visitOf(request, { directory, proxies, certificates, geography, tlsMissing, now, scope, appOf });
      request.visit = visit;
      judge(visit, 'arrival', (refused) => {
        if (refused === undefined && visit.token?.rotated === true) rotationHeaders(reply, visit.token, visit.now);
        // Who has signed is known only when the body is there.
        if (refused !== undefined || visit.credential.method === 'signature') done(refused);
        else count(visit, reply, done);
      });
    },
    preHandler: (request: FastifyRequest, reply: FastifyReply, done) => {
      const visit = Buffer.isBuffer(request.body) ? { ...gated(request), body: request.body } : gated(request);
      request.visit = visit;
      const admit: Done = (refused) => {
        if (refused === undefined && visit.app !== undefined) {
          usage.of(visit.app.appId).apiCalls += 1;
          countRequest(credentialUses, visit.app, visit, request.headers);
        }
        done(refused);
      };
      judge(visit, 'complete', (refused) => {
        if (refused !== undefined || visit.credential.method !== 'signature') admit(refused);
        else count(visit, reply, admit);
      });
    },
  };
}

/** The visit of a request that passed; throws when a route was registered outside of the gate. */
export function gated(request: FastifyRequest): HttpVisit {
  if (request.visit === undefined) throw new Error('this route is not behind the gate');
  return request.visit;
}

type VisitParts = {
  readonly directory: Directory;
  readonly proxies: TrustedProxies;
  readonly certificates: ClientCertificates;
  readonly geography: Geography;
  readonly tlsMissing: (request: IncomingMessage) => boolean;
  readonly now: number;
  readonly scope: Scope;
  readonly appOf: AppOf;
};

function visitOf(request: FastifyRequest, parts: VisitParts): HttpVisit {
  const { directory, proxies, certificates, geography, tlsMissing, now, scope, appOf } = parts;
  const { method = '', url = '', headers, rawHeaders } = request.raw;
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
  const app = appOf(directory, request.params, credential);
  const address = proxies.clientOf(request.raw, asksForAddress(app?.access));
  const certificate = asksForCertificate(app?.access) ? certificates.of(request.raw) : undefined;
  return {
    door: 'http',
    tlsMissing: tlsMissing(request.raw),
    serving: servingState(directory, false),
    app,
    credential,
    origin: originOf(headers.origin),
    address,
    country: countryFor(app?.access, address, geography),
    certificate,
    registration: registrationOf(directory, app, certificate),
    token: credential.method === 'bearer' ? directory.tokenByHash(credential.sha256 ?? '') : undefined,
    scope,
    method,
    path: mark < 0 ? url : url.slice(0, mark),
    parameters,
    duplicatedHeader: hasDuplicatedSecurityHeader(rawHeaders),
    contentType: headers['content-type'],
    announcedBytes: announced === undefined ? undefined : Number(announced),
    body: NO_BODY,
    withinRate: true,
    now,
  };
}

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
