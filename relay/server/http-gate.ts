import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseQuery } from '../auth/request-signature.ts';
import { presentedCredential } from '../auth/presented-credential.ts';
import { maxBodyBytes } from '../gate/checks/body-size.ts';
import type { App, Directory } from '../directory/directory.ts';
import { firstRefusal } from '../gate/gate.ts';
import { servingState, type HttpVisit } from '../gate/visit.ts';
import { Refused } from './refuse.ts';
import { readBody } from './request-body.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the gate on every route under /apps/{id}. */
    visit: HttpVisit | undefined;
  }
}

export type HttpGateParts = {
  readonly directory: Directory;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

const NO_BODY = Buffer.alloc(0);
const SECURITY_HEADERS: ReadonlySet<string> = new Set(['authorization', 'x-relay-key', 'x-relay-secret']);

/**
 * Puts every route of `scope` behind the gate. The routes' path must have `:appId`. The head is judged before a byte of the body is read;
 * the body arrives as the raw bytes that were signed.
 */
export function guardWithGate(scope: FastifyInstance, { directory, wallClock }: HttpGateParts): void {
  scope.decorateRequest('visit', undefined);
  scope.addHook('onRequest', (request, _reply, done) => {
    const visit = visitOf(request, directory, wallClock());
    const refusal = firstRefusal(visit, 'arrival');
    request.visit = visit;
    done(refusal === undefined ? undefined : new Refused(refusal));
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => {
    const app = request.visit?.app;
    return readBody(payload, app === undefined ? 0 : maxBodyBytes(app));
  });
  scope.addHook('preHandler', (request, _reply, done) => {
    const visit = { ...gated(request), body: Buffer.isBuffer(request.body) ? request.body : NO_BODY };
    const refusal = firstRefusal(visit, 'complete');
    request.visit = visit;
    done(refusal === undefined ? undefined : new Refused(refusal));
  });
}

/** The visit of a request that passed; throws when a route was registered outside of the gate. */
export function gated(request: FastifyRequest): HttpVisit {
  if (request.visit === undefined) throw new Error('this route is not behind the gate');
  return request.visit;
}

/** The app of a request that passed. */
export function gatedApp(request: FastifyRequest): App {
  const { app } = gated(request);
  if (app === undefined) throw new Error('this route is not behind the gate');
  return app;
}

function visitOf(request: FastifyRequest, directory: Directory, now: number): HttpVisit {
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
  return {
    door: 'http',
    serving: servingState(directory, false),
    app: directory.appById(appIdOf(request.params)),
    credential,
    token: credential.method === 'bearer' ? directory.tokenByHash(credential.sha256 ?? '') : undefined,
    method,
    path: mark < 0 ? url : url.slice(0, mark),
    parameters,
    duplicatedHeader: hasDuplicatedSecurityHeader(rawHeaders),
    announcedBytes: announced === undefined ? undefined : Number(announced),
    body: NO_BODY,
    now,
  };
}

function appIdOf(params: unknown): string {
  const appId = typeof params === 'object' && params !== null && 'appId' in params ? params.appId : undefined;
  return typeof appId === 'string' ? appId : '';
}

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

function hasDuplicatedSecurityHeader(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!SECURITY_HEADERS.has(name)) continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}
