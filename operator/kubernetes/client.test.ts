import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { ExpiredError, MalformedStreamError } from '../engine/errors.ts';
import type { WatchEvent } from '../engine/lister-watcher.ts';
import type { EngineObject } from '../engine/object.ts';
import { KubernetesClient } from './client.ts';
import type { KubernetesClientOptions } from './client.ts';
import { Connection } from './connection.ts';
import { KubernetesError } from './kubernetes-error.ts';
import { LEASES, SECRETS } from './resource-type.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

// Long: the client is one surface (verbs, errors, watch), and every case needs the scripted server below.
/** A plain HTTP server that answers as told; the client cannot tell it from an API server. */
async function serve(handler: Handler, options: Partial<KubernetesClientOptions> = {}, user: object = {}) {
  let connections = 0;
  const requests: { line: string; headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      requests.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      handler(request, response, body);
    });
  });
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server: `http://127.0.0.1:${port}/base`, skipTLSVerify: true },
    { name: 'test', ...user },
  );
  const clock = new FakeClock();
  const connection = new Connection(config, clock);
  const client = new KubernetesClient({ connection, fieldManager: 'tester', userAgent: 'test/1', ...options });
  return {
    client,
    clock,
    requests,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      await connection[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function json(response: ServerResponse, code: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function status(code: number, reason: string, extra: object = {}) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message: `it is ${reason}`, code, ...extra };
}

const object = { metadata: { namespace: 'shop', name: 'a' }, data: { x: 'eA==' } };

test('one connection serves a hundred requests, one after the other', async () => {
  await using s = await serve((_, response) => json(response, 200, object));
  for (let i = 0; i < 100; i += 1) await s.client.get(SECRETS, { namespace: 'shop', name: 'a' });
  expect(s.connections()).toBe(1);
});

test('requests are what the API conventions say', async () => {
  const writes: string[] = [];
  await using s = await serve((_, response) => json(response, 200, object), {
    onWrite: ({ verb, resource, namespace, name, subresource }) =>
      void writes.push([verb, resource, namespace, name, subresource].join(' ')),
  });
  await s.client.get(SECRETS, { namespace: 'shop', name: 'a' });
  await s.client.create(SECRETS, object);
  await s.client.update(LEASES, object);
  await s.client.apply(SECRETS, object);
  await s.client.applyStatus(SECRETS, object, { force: false });
  await s.client.delete(SECRETS, { namespace: 'shop', name: 'a' }, { uid: 'u', resourceVersion: '7' });
  await s.client.mergePatch(SECRETS, object);
  expect(s.requests.map(({ line }) => line)).toEqual([
    'GET /base/api/v1/namespaces/shop/secrets/a',
    'POST /base/api/v1/namespaces/shop/secrets?fieldManager=tester',
    'PUT /base/apis/coordination.k8s.io/v1/namespaces/shop/leases/a?fieldManager=tester',
    'PATCH /base/api/v1/namespaces/shop/secrets/a?fieldManager=tester&force=true',
    'PATCH /base/api/v1/namespaces/shop/secrets/a/status?fieldManager=tester&force=false',
    'DELETE /base/api/v1/namespaces/shop/secrets/a',
    'PATCH /base/api/v1/namespaces/shop/secrets/a?fieldManager=tester',
  ]);
  expect(s.requests[6]?.headers['content-type']).toBe('application/merge-patch+json');
  expect(s.requests[3]?.headers['content-type']).toBe('application/apply-patch+yaml');
  expect(JSON.parse(s.requests[3]?.body ?? '')).toEqual({ ...object, apiVersion: 'v1', kind: 'Secret' });
  expect(JSON.parse(s.requests[5]?.body ?? '')).toMatchObject({ preconditions: { uid: 'u', resourceVersion: '7' } });
  expect(writes).toEqual([
    'create secrets shop a ',
    'update leases shop a ',
    'apply secrets shop a ',
    'apply secrets shop a status',
    'delete secrets shop a ',
    'patch secrets shop a ',
  ]);
});

describe('refusals', () => {
  test.each([
    [409, status(409, 'Conflict'), {}, { status: 409, code: 'Conflict', quiet: true, backend: undefined }],
    [403, status(403, 'Forbidden'), {}, { status: 403, reason: 'Forbidden', quiet: false, message: 'it is Forbidden' }],
    [429, status(429, 'TooManyRequests'), { 'Retry-After': '3' }, { code: 'TooManyRequests', retryAfterMs: 3000 }],
    [503, 'no JSON at all', { 'Retry-After': '1' }, { code: 'HTTP503', retryAfterMs: 1000, backend: 'kubernetes' }],
    [500, status(500, 'InternalError', { details: { retryAfterSeconds: 2 } }), {}, { retryAfterMs: 2000 }],
  ])('%i becomes a KubernetesError that says what to do', async (code, body, headers, expected) => {
    await using s = await serve((_, response) => json(response, code, body, headers));
    const error: unknown = await s.client.apply(SECRETS, object).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubernetesError);
    expect(error).toMatchObject(expected);
  });

  test('410, and a version that the server has not reached, are ExpiredErrors', async () => {
    const tooLarge = status(504, 'Timeout', { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } });
    const bodies = [json.bind(undefined), json.bind(undefined)];
    await using s = await serve((_, response) =>
      bodies.length === 2 && bodies.pop() !== undefined
        ? json(response, 410, status(410, 'Expired'))
        : json(response, 504, tooLarge),
    );
    await expect(s.client.list(SECRETS)).rejects.toBeInstanceOf(ExpiredError);
    await expect(s.client.list(SECRETS)).rejects.toBeInstanceOf(ExpiredError);
  });

  test('a missing object is undefined or false; a missing resource type is an error', async () => {
    await using s = await serve((request, response) =>
      json(response, 404, status(404, 'NotFound', request.url?.includes('secrets') ? { details: { name: 'a' } } : {})),
    );
    expect(await s.client.get(SECRETS, { namespace: 'shop', name: 'a' })).toBeUndefined();
    expect(await s.client.delete(SECRETS, { namespace: 'shop', name: 'a' })).toBe(false);
    await expect(s.client.get(LEASES, { namespace: 'shop', name: 'a' })).rejects.toMatchObject({ status: 404 });
  });

  test('an answer that is no JSON, or half of one, is an error', async () => {
    await using s = await serve((_, response) => response.end('<html>'));
    await expect(s.client.get(SECRETS, { name: 'a' })).rejects.toBeInstanceOf(MalformedStreamError);
    await using half = await serve((_, response) => {
      response.writeHead(200, { 'Content-Length': '100' }).write('{"kind":');
      setImmediate(() => response.destroy());
    });
    await expect(half.client.get(SECRETS, { name: 'a' })).rejects.toMatchObject({ status: 0 });
  });
});

describe('time', () => {
  test('no answer within the deadline', async () => {
    await using s = await serve(() => undefined, { requestTimeoutMs: 50 });
    await expect(s.client.get(SECRETS, { name: 'a' })).rejects.toMatchObject({
      code: 'Timeout',
      backend: 'kubernetes',
    });
  });

  test('an answer that stops half way, within the same deadline', async () => {
    await using s = await serve((_, response) => void response.writeHead(200).write('{'), { requestTimeoutMs: 50 });
    await expect(s.client.get(SECRETS, { name: 'a' })).rejects.toMatchObject({ code: 'Timeout' });
  });

  test('the signal ends it with its own reason, before, during and after the head', async () => {
    const reason = new Error('enough');
    await using s = await serve((_, response) => void response.writeHead(200).write('{'));
    await expect(s.client.get(SECRETS, { name: 'a' }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(s.requests).toEqual([]);
    const stop = new AbortController();
    const pending = s.client.get(SECRETS, { name: 'a' }, { signal: stop.signal });
    while (s.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });

  test('nobody listens there', async () => {
    const s = await serve(() => undefined);
    await s[Symbol.asyncDispose]();
    await expect(s.client.version()).rejects.toMatchObject({ status: 0, code: 'ECONNREFUSED', backend: 'kubernetes' });
  });
});

describe('an idle connection that the server closed just as it was used', () => {
  function closingAfterFirst(): Handler {
    let served = 0;
    return (request, response) => {
      served += 1;
      if (served === 2) request.socket.destroy();
      else json(response, 200, object);
    };
  }

  test('is replaced, once, for what may be sent twice', async () => {
    const writes: string[] = [];
    await using s = await serve(closingAfterFirst(), { onWrite: ({ verb }) => void writes.push(verb) });
    await s.client.apply(SECRETS, object);
    await s.client.apply(SECRETS, object);
    expect(s.requests).toHaveLength(3);
    expect(writes).toHaveLength(3);
  });

  test('but never for a POST', async () => {
    await using s = await serve(closingAfterFirst());
    await s.client.apply(SECRETS, object);
    await expect(s.client.create(SECRETS, object)).rejects.toMatchObject({ status: 0 });
    expect(s.requests).toHaveLength(2);
  });
});

describe('credentials', () => {
  test('a rotated token file is read again after a 401, and after a minute anyway', async () => {
    await using directory = await temporaryDirectory('token');
    const file = `${directory.path}/token`;
    await writeFile(file, 'one\n');
    let valid = 'Bearer one';
    const user = { token: undefined, authProvider: { name: 'tokenFile', config: { tokenFile: file } } };
    await using s = await serve(
      (request, response) =>
        request.headers.authorization === valid
          ? json(response, 200, object)
          : json(response, 401, status(401, 'Unauthorized')),
      {},
      user,
    );
    await s.client.get(SECRETS, { name: 'a' });
    await writeFile(file, 'two\n');
    valid = 'Bearer two';
    await s.client.get(SECRETS, { name: 'a' });
    expect(s.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer one', 'Bearer two']);
    await writeFile(file, 'three\n');
    valid = 'Bearer three';
    await s.clock.advance(60_000);
    await s.client.get(SECRETS, { name: 'a' });
    expect(s.requests).toHaveLength(4);
    valid = 'nothing';
    await expect(s.client.get(SECRETS, { name: 'a' })).rejects.toMatchObject({ status: 401 });
    expect(s.requests).toHaveLength(6);
  });
});

test('a fenced client asks before each write, and only then', async () => {
  let leading = true;
  await using s = await serve((_, response) => json(response, 200, object));
  const fenced = s.client.fenced(() => {
    if (!leading) throw new Error('not leading');
  });
  await fenced.apply(SECRETS, object);
  leading = false;
  await expect(fenced.apply(SECRETS, object)).rejects.toThrow('not leading');
  await fenced.get(SECRETS, { name: 'a' });
  await s.client.apply(SECRETS, object);
  expect(s.requests).toHaveLength(3);
});

describe('watch', () => {
  async function all(client: KubernetesClient, signal?: AbortSignal) {
    const events: WatchEvent<EngineObject>[] = [];
    const query = { resourceVersion: '1', timeoutSeconds: 300, allowWatchBookmarks: true, signal };
    for await (const event of client.watch(SECRETS, query)) events.push(event);
    return events;
  }
  const metadata = { name: 'ä', namespace: 'shop', uid: 'u', resourceVersion: '5' };

  test('opens, then every event; the end of the stream is the end of the loop', async () => {
    await using s = await serve((_, response) => {
      response.write(`{"type":"ADDED","object":${JSON.stringify({ metadata, data: { x: 'y' } })}}\n`);
      response.end('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n');
    });
    expect(await all(s.client)).toEqual([
      { type: 'OPENED' },
      { type: 'ADDED', object: { metadata, data: { x: 'y' } } },
      { type: 'BOOKMARK', resourceVersion: '9' },
    ]);
    expect(s.requests[0]?.line).toBe(
      'GET /base/api/v1/secrets?watch=true&resourceVersion=1&timeoutSeconds=300&allowWatchBookmarks=true',
    );
  });

  test.each([
    ['410 in the stream', `{"type":"ERROR","object":${JSON.stringify(status(410, 'Expired'))}}\n`, ExpiredError],
    [
      '500 in the stream',
      `{"type":"ERROR","object":${JSON.stringify(status(500, 'InternalError'))}}\n`,
      KubernetesError,
    ],
    ['no JSON', 'oops\n', MalformedStreamError],
    ['no event', '{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n', MalformedStreamError],
    ['half a line', '{"type":"ADDED","obj', MalformedStreamError],
  ])('%s', async (_, text, expected) => {
    await using s = await serve((_, response) => response.end(text));
    await expect(all(s.client)).rejects.toBeInstanceOf(expected);
  });

  test('a connection that breaks, a refusal with Retry-After, a signal while nothing comes', async () => {
    await using broken = await serve((request, response) => {
      response.write('{"type":');
      setImmediate(() => request.socket.destroy());
    });
    await expect(all(broken.client)).rejects.toMatchObject({ status: 0 });
    await using busy = await serve((_, response) =>
      json(response, 429, status(429, 'TooManyRequests'), { 'Retry-After': '4' }),
    );
    await expect(all(busy.client)).rejects.toMatchObject({ retryAfterMs: 4000 });
    await using silent = await serve((_, response) => response.writeHead(200).flushHeaders());
    const stop = new AbortController();
    const reason = new Error('enough');
    const watching = all(silent.client, stop.signal);
    while (silent.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(reason);
    await expect(watching).rejects.toBe(reason);
  });
});
