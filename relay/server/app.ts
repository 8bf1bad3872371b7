import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { RefusalCode } from '../gate/refusals.ts';
import { allowedMethods } from './allowed-methods.ts';
import { Answer } from './answer.ts';
import type { Endpoint } from './endpoint.ts';
import { endpointTable, pathsOf, type EndpointParts } from './endpoints.ts';
import { appInPath, appOfKey, HttpGate, type HttpGateParts } from './http-gate.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { bareRefusal, Refused, sendRefusal } from './refuse.ts';
import { requestIds } from './request-id.ts';
import { limitPipelining } from './pipelining.ts';

export type AppParts = HttpGateParts &
  EndpointParts & {
    readonly metrics: RelayMetrics;
    readonly log: Logger;
  };

/** Slow-loris: a client has this long for its headers and for the whole request, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often node looks for those whose time is over; by default so seldom that they have up to 30 s more. */
const TIMEOUT_CHECK_MS = 1_000;
/** Above what load balancers keep idle connections for (60 s), so that it is they who close. */
const KEEP_ALIVE_MS = 65_000;
const MAX_HEADER_BYTES = 16 * 1024;
const OPENAPI_PATH = '/openapi.json';

/** The HTTP API, not yet listening. WebSocket upgrades are attached by server.ts. */
export function createApp(parts: AppParts): FastifyInstance {
  const { metrics, log, tlsMissing } = parts;
  const endpoints = endpointTable(parts);
  const methodsOf = allowedMethods([
    { url: OPENAPI_PATH, method: 'GET' },
    ...endpoints.flatMap((endpoint) => pathsOf(endpoint).map(({ url }) => ({ url, method: endpoint.method }))),
  ]);
  const requestId = requestIds();
  const app = fastify({
    logger: false,
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      // Others, such as curl's offer of h2c, are served as plain requests (RFC 9110, 7.8: a server may ignore Upgrade).
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The gate reads the query as it was signed; nobody asks for Fastify's reading of it.
    routerOptions: { maxParamLength: 512, querystringParser: () => ({}) },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    genReqId: ({ headers }) => requestId(headers),
    clientErrorHandler: (error, socket) => answerClientError(error, socket, metrics),
    frameworkErrors: (_error, request, reply) =>
      sendRefusal(takenOver(request, reply), metrics, new Refused('request_malformed')),
  });

  limitPipelining(app.server, () => countRefusal(metrics, 'http', 'slow_consumer'));
  // Node would refuse what it does not know of Expect with an answer of its own. Nothing has to be expected of us (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  // Fastify would read the body of a request that no route takes, and refuse it for what is in it; routes read theirs themselves.
  app.removeAllContentTypeParsers();
  // Of the answers that are Fastify's own.
  app.addHook('onSend', (request, reply, payload, done) => {
    void reply.header('x-request-id', request.id);
    done(null, payload);
  });
  app.setNotFoundHandler((request, reply) => {
    const answer = takenOver(request, reply);
    if (tlsMissing(request.raw)) return sendRefusal(answer, metrics, new Refused('tls_required'));
    const methods = methodsOf(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0) return sendRefusal(answer, metrics, new Refused('path_unknown'));
    answer.header('allow', methods.join(', '));
    return sendRefusal(answer, metrics, new Refused('method_not_allowed'));
  });
  const failed = (error: unknown, { id }: FastifyRequest, answer: Answer): void => {
    if (error instanceof Refused) return sendRefusal(answer, metrics, error);
    log.error({ err: error, requestId: id }, 'request failed');
    return sendRefusal(answer, metrics, new Refused('internal'));
  };
  app.setErrorHandler((error, request, reply) => {
    const refused = isClientError(error) ? new Refused('request_malformed') : error;
    failed(refused, request, takenOver(request, reply));
  });

  // As bytes, which all who are slow to take it share.
  let document: Buffer | undefined;
  void app.register((scope, _options, done) => {
    scope.get(OPENAPI_PATH, (request, reply) => {
      if (tlsMissing(request.raw)) return sendRefusal(takenOver(request, reply), metrics, new Refused('tls_required'));
      document ??= Buffer.from(JSON.stringify(openApiDocument(endpoints)));
      return reply.type('application/json').header('cache-control', 'public, max-age=300').send(document);
    });
    done();
  });
  void app.register((scope, _options, done) => {
    for (const endpoint of endpoints) {
      for (const { url, app: from } of pathsOf(endpoint)) {
        const gate = new HttpGate(parts, {
          scope: endpoint.scope,
          appOf: from === 'path' ? appInPath : appOfKey,
        });
        scope.route({
          method: endpoint.method,
          url,
          // Fastify finds the route. What it does with bodies and replies besides would cost as much again as the gate.
          onRequest: (request, reply) => {
            const answer = takenOver(request, reply);
            serve(request, gate, endpoint, answer).catch((error: unknown) => failed(error, request, answer));
          },
          handler: () => undefined,
        });
      }
    }
    done();
  });
  return app;
}

/** From here on Fastify has no part in the answer. */
function takenOver(request: FastifyRequest, reply: FastifyReply): Answer {
  reply.hijack();
  return new Answer(reply.raw, request.id);
}

async function serve(request: FastifyRequest, gate: HttpGate, endpoint: Endpoint, answer: Answer): Promise<void> {
  const visit = await gate.admit(request.raw, request.params, answer);
  const content = await endpoint.respond(visit, request.params, answer);
  if (endpoint.answer === null) answer.send(204);
  else answer.send(200, typeof content === 'string' ? content : JSON.stringify(content));
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
  socket.end(bareRefusal(code, randomUUID()));
}

function clientErrorCode(code: string | undefined): RefusalCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'request_malformed';
}
