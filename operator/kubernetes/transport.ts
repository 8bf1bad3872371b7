import http from 'node:http';
import https from 'node:https';
import { parseJson } from '#crds/json-text.ts';
import { MalformedStreamError } from '../engine/errors.ts';
import type { Access, Connection } from './connection.ts';
import { asError, Deadline } from './deadline.ts';
import { errorOf, KubernetesError } from './kubernetes-error.ts';
import type { ResourcePath } from './resource-type.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'apply' | 'patch' | 'delete';

/** What was asked of the API server, for metrics and for tests that count. */
export type ApiCall = {
  readonly verb: Verb;
  readonly method: string;
  readonly host: string;
  /** The plural; '' for a path that is no resource. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
};

export type TransportOptions = {
  readonly connection: Connection;
  readonly userAgent: string;
  /** How long an answer may take, milliseconds. Default 30 s. A watch must be accepted within it. */
  readonly requestTimeoutMs?: number;
  /** After each answer; `code` is the HTTP status, 0 when there was none. */
  readonly onResponse?: (call: ApiCall, code: number, durationMs: number) => void;
  /** Just before each write is sent (and once more when it is sent again). */
  readonly onWrite?: (call: ApiCall) => void;
};

export type ApiRequest = ResourcePath & {
  readonly verb: Verb;
  readonly method: string;
  readonly path: string;
  readonly resource: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly contentType?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
};

/** An answer that goes on. */
export type Stream = AsyncDisposable & {
  /** Throws a KubernetesError when the connection breaks, or the signal's reason. */
  chunks(): AsyncIterable<Buffer>;
};

/** Sends requests over kept-alive connections: credentials, deadlines, one careful repetition, errors in our own terms. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #fence: (() => void) | undefined;

  constructor(options: TransportOptions, fence?: () => void) {
    this.#options = options;
    this.#fence = fence;
  }

  /** The JSON of a 2xx answer. */
  async call(request: ApiRequest): Promise<unknown> {
    const { signal } = request;
    const deadline = new Deadline(this.#options.requestTimeoutMs ?? 30_000, signal);
    try {
      const response = await this.#authenticated(request, deadline);
      const body = await read(response, deadline);
      try {
        return JSON.parse(body);
      } catch (cause) {
        throw new MalformedStreamError('the answer of the API server is no JSON', { cause });
      }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw unreachable(error);
    } finally {
      deadline.end();
    }
  }

  /** A 2xx answer whose body is read as it comes, until the signal aborts or it is disposed. */
  async open(request: ApiRequest): Promise<Stream> {
    const { signal } = request;
    const deadline = new Deadline(this.#options.requestTimeoutMs ?? 30_000, signal);
    let response: http.IncomingMessage;
    try {
      response = await this.#authenticated(request, deadline);
    } finally {
      deadline.end();
    }
    const abort = (): void => void response.destroy(asError(signal?.reason));
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    return {
      async *chunks() {
        try {
          for await (const chunk of response) yield chunk as Buffer;
        } catch (error) {
          throw signal?.aborted === true ? signal.reason : unreachable(error);
        }
      },
      async [Symbol.asyncDispose]() {
        signal?.removeEventListener('abort', abort);
        response.destroy();
      },
    };
  }

  /** The answer to a request, once it is 2xx. A 401 may mean a rotated token: read the credentials again, once. */
  async #authenticated(request: ApiRequest, deadline: Deadline): Promise<http.IncomingMessage> {
    const { connection } = this.#options;
    try {
      let response = await this.#once(request, await connection.access(), deadline);
      if (response.statusCode === 401) {
        response.resume();
        response = await this.#once(request, await connection.refresh(), deadline);
      }
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      throw errorOf(status, parseJson(await read(response, deadline)), response.headers['retry-after']);
    } catch (error) {
      if (request.signal?.aborted === true) throw request.signal.reason;
      if (deadline.passed) connection.dropIdle();
      throw unreachable(error);
    }
  }

  async #once(request: ApiRequest, access: Access, deadline: Deadline): Promise<http.IncomingMessage> {
    const { onResponse, onWrite } = this.#options;
    const { verb, method, resource, namespace, name, subresource } = request;
    const call = { verb, method, host: access.url.host, resource, namespace, name, subresource };
    for (let attempt = 1; ; attempt += 1) {
      deadline.throwIfPassed();
      if (method !== 'GET') {
        this.#fence?.();
        onWrite?.(call);
      }
      const started = performance.now();
      const { sent, answer } = this.#send(request, access, deadline);
      try {
        const response = await answer;
        onResponse?.(call, response.statusCode ?? 0, performance.now() - started);
        return response;
      } catch (error) {
        onResponse?.(call, 0, performance.now() - started);
        // The server closed an idle connection just as we used it. All but a POST may safely be sent twice.
        if (attempt === 1 && sent.reusedSocket && method !== 'POST' && isReset(error) && !deadline.passed) continue;
        throw error;
      }
    }
  }

  #send(
    { path, query, method, contentType, body }: ApiRequest,
    { url, agent, headers }: Access,
    deadline: Deadline,
  ): { readonly sent: http.ClientRequest; readonly answer: Promise<http.IncomingMessage> } {
    // A string, because the head and a string go out in one write, the head and a Buffer in two.
    const payload = body === undefined ? undefined : JSON.stringify(body);
    // As a list, because Node takes that as it is, and checks an object name by name.
    const head = ['Host', url.host, 'Accept', 'application/json', 'User-Agent', this.#options.userAgent, ...headers];
    if (payload !== undefined) {
      head.push(
        'Content-Type',
        contentType ?? 'application/json',
        'Content-Length',
        String(Buffer.byteLength(payload)),
      );
    }
    const request = (url.protocol === 'http:' ? http : https).request({
      agent,
      method,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : url.port,
      path:
        url.pathname === '/' ? path + queryString(query) : url.pathname.replace(/\/$/, '') + path + queryString(query),
      headers: head,
    });
    const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', (response) => {
        // Destroyed while nobody reads it, it would otherwise end the process.
        response.on('error', () => undefined);
        resolve(response);
      });
      request.on('error', reject);
    });
    deadline.kill = (reason) => void request.destroy(reason);
    request.end(payload);
    return { sent: request, answer };
  }
}

/** By events: the async iterator of a stream costs as much as all the rest of reading a small answer. */
function read(response: http.IncomingMessage, deadline: Deadline): Promise<string> {
  deadline.kill = (reason) => void response.destroy(reason);
  deadline.throwIfPassed();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => void chunks.push(chunk));
    response.on('end', () => {
      const [only] = chunks;
      resolve((chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)).toString('utf8'));
    });
    response.on('error', reject);
    response.on('close', () => {
      if (!response.complete) reject(new KubernetesError(0, 'Truncated', 'the answer ended too early'));
    });
  });
}

function queryString(query: ApiRequest['query'] = {}): string {
  let text = '';
  for (const name in query) {
    const value = query[name];
    if (value !== undefined) text += `${text === '' ? '?' : '&'}${name}=${encodeURIComponent(value)}`;
  }
  return text;
}
function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function isReset(error: unknown): boolean {
  return errno(error) === 'ECONNRESET' || errno(error) === 'EPIPE';
}

/** A network error as a KubernetesError; everything that has a `code` of the system or of TLS is one. */
function unreachable(error: unknown): unknown {
  const code = errno(error);
  if (code === undefined || error instanceof KubernetesError || !(error instanceof Error) || 'retryAfterMs' in error)
    return error;
  return new KubernetesError(0, code, `the API server cannot be reached: ${error.message}`, { cause: error });
}
