import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { refusalOf, type RefusalCode } from '../gate/refusals.ts';
import { allowedMethods } from './allowed-methods.ts';
import type { Endpoint } from './endpoint.ts';
import { endpointTable, pathsOf, type EndpointParts } from './endpoints.ts';
import { appInPath, appOfKey, gated, guard, readRawBodies, type AppOf, type HttpGateParts } from './http-gate.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { Refused, refusalBody, sendRefusal } from './refuse.ts';

export type AppParts = HttpGateParts &
  EndpointParts & {
    readonly metrics: RelayMetrics;
    readonly log: Logger;
  };

/** Slow-loris: a client has this long for its headers and for the whole request, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Above what load balancers keep idle connections for (60 s), so that it is they who close. */
const KEEP_ALIVE_MS = 65_000;
const MAX_HEADER_BYTES = 16 * 1024;
const OPENAPI_PATH = '/openapi.json';
/** With the charset that Fastify would otherwise add, at each reply. */
const JSON_TYPE = 'application/json; charset=utf-8';
const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

/** The HTTP API, not yet listening. WebSocket upgrades are attached by server.ts. */
export function createApp(parts: AppParts): FastifyInstance {
  const { metrics, log } = parts;
  const endpoints = endpointTable(parts);
  const methodsOf = allowedMethods([
    { url: OPENAPI_PATH, method: 'GET' },
    ...endpoints.flatMap((endpoint) => pathsOf(endpoint).map(({ url }) => ({ url, method: endpoint.method }))),
  ]);
  const app = fastify({
    logger: false,
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Others, such as curl's offer of h2c, are served as plain requests (RFC 9110, 7.8: a server may ignore Upgrade).
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The gate reads the query as it was signed; nobody asks for Fastify's reading of it.
    routerOptions: { maxParamLength: 512, querystringParser: () => ({}) },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, metrics),
    frameworkErrors: (_error, request, reply) => {
      void reply.header('x-request-id', request.id);
      sendRefusal(reply, metrics, new Refused('request_malformed'));
    },
  });

  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    done();
  });
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0) return sendRefusal(reply, metrics, new Refused('path_unknown'));
    void reply.header('allow', methods.join(', '));
    return sendRefusal(reply, metrics, new Refused('method_not_allowed'));
  });
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Refused) return sendRefusal(reply, metrics, error);
    if (isClientError(error)) return sendRefusal(reply, metrics, new Refused('request_malformed'));
    log.error({ err: error, requestId: request.id }, 'request failed');
    return sendRefusal(reply, metrics, new Refused('internal'));
  });

  let document: string | undefined;
  void app.register((scope, _options, done) => {
    scope.get(OPENAPI_PATH, (_request, reply) => {
      document ??= JSON.stringify(openApiDocument(endpoints));
      return reply.type('application/json').header('cache-control', 'public, max-age=300').send(document);
    });
    done();
  });
  void app.register((scope, _options, done) => {
    readRawBodies(scope);
    for (const endpoint of endpoints) {
      for (const { url, app } of pathsOf(endpoint))
        serve(scope, url, endpoint, app === 'path' ? appInPath : appOfKey, parts);
    }
    done();
  });
  return app;
}

function serve(scope: FastifyInstance, url: string, endpoint: Endpoint, appOf: AppOf, parts: AppParts): void {
  scope.route({
    method: endpoint.method,
    url,
    ...guard(parts, { scope: endpoint.scope, appOf }),
    handler: async (request, reply) => {
      const answer = await endpoint.respond(gated(request), request.params, reply);
      if (endpoint.answer === null) return reply.code(204).send();
      return reply.type(JSON_TYPE).send(typeof answer === 'string' ? answer : JSON.stringify(answer));
    },
  });
}

/** Fastify's own verdicts about a request, such as a content type that does not parse. */
function isClientError(error: unknown): boolean {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 500;
}

/** What never became a request: malformed HTTP, too large headers, a client that took too long. Answered on the bare connection. */
function answerClientError(error: { readonly code?: string }, socket: Socket, metrics: RelayMetrics): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = clientErrorCode(error.code);
  countRefusal(metrics, 'http', code);
  const { status, message } = refusalOf(code);
  const body = refusalBody(code, message);
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `X-Request-Id: ${randomUUID()}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function clientErrorCode(code: string | undefined): RefusalCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'request_malformed';
}
