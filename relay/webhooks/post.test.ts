import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { expect, test } from 'vitest';
import { addressPolicy, parseAllowed } from './address-policy.ts';
import { createHttpPost, type PostResult } from './post.ts';
import type { Resolve } from './resolver.ts';

type Endpoint = AsyncDisposable & { readonly port: number; readonly requests: (IncomingMessage & { body?: string })[] };

async function listening(server: Server, close: () => void): Promise<{ port: number } & AsyncDisposable> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      close();
      await closed;
    },
  };
}

async function endpoint(answer: RequestListener): Promise<Endpoint> {
  const requests: Endpoint['requests'] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      Object.assign(request, { body });
      answer(request, response);
    });
  });
  return { ...(await listening(server, () => server.closeAllConnections())), requests };
}

const noNames: Resolve = () => Promise.reject(new Error('no names here'));
type Setup = { readonly allow?: string; readonly resolve?: Resolve; readonly timeoutMs?: number };
const poster = ({ allow = '127.0.0.1', resolve = noNames, timeoutMs = 10_000 }: Setup = {}) =>
  createHttpPost({ policy: addressPolicy(parseAllowed(allow)), resolve, timeoutMs });

async function post(url: string, setup: Setup = {}, headers: Record<string, string> = {}): Promise<PostResult> {
  using send = poster(setup);
  return await send({ url, headers: new Map(Object.entries(headers)), body: Buffer.from('{"a":"\u{1f600}"}') });
}

test('a POST with exactly the headers that it should have, and its body as it is', async () => {
  await using server = await endpoint((_request, response) => response.end('thanks'));
  const headers = {
    'x-pusher-key': 'k',
    authorization: 'Bearer x',
    'x bad': 'y',
    'x-bad-value': 'a\r\nb: c',
    host: 'evil.example',
    'Content-Type': 'text/plain',
    'Transfer-Encoding': 'chunked',
    'content-length': '1',
    connection: 'close',
  };
  expect(await post(`http://127.0.0.1:${server.port}/hook?a=b`, {}, headers)).toEqual({
    outcome: 'delivered',
    status: 200,
  });
  const [request] = server.requests;
  expect(request).toMatchObject({ method: 'POST', url: '/hook?a=b', body: '{"a":"\u{1f600}"}' });
  expect(request?.headers).toEqual({
    host: `127.0.0.1:${server.port}`,
    'user-agent': 'relay-webhooks',
    'x-pusher-key': 'k',
    authorization: 'Bearer x',
    'content-type': 'application/json',
    'content-length': '12',
    connection: 'keep-alive',
  });
});

test.each([
  [200, { outcome: 'delivered', status: 200 }],
  [204, { outcome: 'delivered', status: 204 }],
  [299, { outcome: 'delivered', status: 299 }],
  [400, { outcome: 'failed', reason: 'status', status: 400 }],
  [410, { outcome: 'failed', reason: 'status', status: 410 }],
  [503, { outcome: 'failed', reason: 'status', status: 503 }],
] as const)('%i', async (status, result) => {
  await using server = await endpoint((_request, response) => response.writeHead(status).end());
  expect(await post(`http://127.0.0.1:${server.port}/`)).toEqual(result);
});

test.each([301, 302, 303, 307, 308])('a redirect (%i) is a failure, and nobody goes there', async (status) => {
  await using other = await endpoint((_request, response) => response.end());
  await using server = await endpoint((_request, response) =>
    response.writeHead(status, { location: `http://127.0.0.1:${other.port}/` }).end(),
  );
  expect(await post(`http://127.0.0.1:${server.port}/`)).toEqual({ outcome: 'failed', reason: 'redirect', status });
  expect(other.requests).toHaveLength(0);
});

test('an answer without end, or that breaks off, is what its status says; only so much of it is read', async () => {
  let written = 0;
  await using endless = await endpoint((_request, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(16_384))) written += 16_384;
    };
    response.on('drain', more);
    more();
  });
  expect(await post(`http://127.0.0.1:${endless.port}/`)).toEqual({ outcome: 'delivered', status: 200 });
  // The rest was on its way in the kernel.
  expect(written).toBeLessThan(32_000_000);
  await using broken = await endpoint((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('x', () => response.destroy());
  });
  expect(await post(`http://127.0.0.1:${broken.port}/`)).toEqual({ outcome: 'delivered', status: 200 });
});

test('nobody listens; no answer in time; not HTTP', async () => {
  const server = await endpoint(() => undefined);
  expect(await post(`http://127.0.0.1:${server.port}/`, { timeoutMs: 50 })).toEqual({
    outcome: 'failed',
    reason: 'timeout',
  });
  await server[Symbol.asyncDispose]();
  expect(await post(`http://127.0.0.1:${server.port}/`)).toEqual({ outcome: 'failed', reason: 'unreachable' });
  const tcp = createTcpServer(
    (socket) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .end('SSH-2.0-x\r\n'),
  );
  await using garbage = await listening(tcp, () => undefined);
  expect(await post(`http://127.0.0.1:${garbage.port}/`)).toEqual({ outcome: 'failed', reason: 'unreachable' });
  expect(await post(`https://127.0.0.1:${garbage.port}/`)).toEqual({ outcome: 'failed', reason: 'tls' });
});

test.each([
  [
    '101 that was not asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    'unreachable',
  ],
  ['nothing but 103', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n', 'timeout'],
  ['half a head', 'HTTP/1.1 200 OK\r\nX-', 'timeout'],
] as const)('%s', async (_what, bytes, reason) => {
  const tcp = createTcpServer(
    (socket) => void socket.on('error', () => undefined).once('data', () => socket.write(bytes)),
  );
  await using server = await listening(tcp, () => undefined);
  expect(await post(`http://127.0.0.1:${server.port}/`, { timeoutMs: 300 })).toEqual({ outcome: 'failed', reason });
});

test.each([
  'ftp://127.0.0.1/',
  'file:///etc/passwd',
  'http://user:pass@127.0.0.1/',
  'http://',
  'nothing',
  'http://a:99999/',
])('%s is refused as it is', async (url) => {
  expect(await post(url)).toEqual({ outcome: 'refused', reason: 'url_invalid' });
});

test.each(['127.0.0.1', '127.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254', '0'])(
  'the address %s is refused, whatever the port, and nobody is asked',
  async (host) => {
    await using server = await endpoint((_request, response) => response.end());
    for (const port of [server.port, 80, 443])
      expect(await post(`http://${host}:${port}/`, { allow: '' })).toEqual({
        outcome: 'refused',
        reason: 'address_refused',
      });
    expect(server.requests).toHaveLength(0);
  },
);

test('a name is refused for any of its addresses, and opened by name or by network', async () => {
  await using server = await endpoint((_request, response) => response.end());
  const url = `http://hook.example:${server.port}/`;
  const resolve: Resolve = () => Promise.resolve(['127.0.0.1']);
  const refused = { outcome: 'refused', reason: 'address_refused' };
  expect(await post(url, { allow: '', resolve })).toEqual(refused);
  expect(await post(url, { allow: '', resolve: () => Promise.resolve(['8.8.8.8', '10.0.0.1']) })).toEqual(refused);
  expect(await post(url, { allow: '10.0.0.0/8', resolve })).toEqual(refused);
  for (const allow of ['127.0.0.0/8', 'hook.example', '.example'])
    expect(await post(url, { allow, resolve })).toEqual({ outcome: 'delivered', status: 200 });
  expect(server.requests.map(({ headers }) => headers.host)).toEqual(Array(3).fill(`hook.example:${server.port}`));
});

test('a name server that changes its answer is asked once: the connection goes to what was checked', async () => {
  await using server = await endpoint((_request, response) => response.end());
  const asked: string[] = [];
  // Allowed the first time, refused from then on; and the other way round.
  const changing =
    (...answers: string[]): Resolve =>
    (host) => {
      asked.push(host);
      return Promise.resolve([answers.shift() ?? '127.0.0.1']);
    };
  const url = `http://rebind.example:${server.port}/`;
  expect(await post(url, { resolve: changing('127.0.0.1', '127.0.0.2') })).toMatchObject({ outcome: 'delivered' });
  expect(asked).toEqual(['rebind.example']);
  expect(await post(url, { resolve: changing('127.0.0.2', '127.0.0.1') })).toMatchObject({ outcome: 'refused' });
  expect(asked).toHaveLength(2);
  expect(server.requests).toHaveLength(1);
});

test('each POST asks anew, also when a connection is still open', async () => {
  await using server = await endpoint((_request, response) => response.end());
  const answers = [['127.0.0.1'], ['10.0.0.1']];
  using send = poster({ resolve: () => Promise.resolve(answers.shift() ?? []) });
  const request = { url: `http://a.example:${server.port}/`, headers: new Map(), body: Buffer.from('{}') };
  expect(await send(request)).toMatchObject({ outcome: 'delivered' });
  expect(await send(request)).toEqual({ outcome: 'refused', reason: 'address_refused' });
});

test('a name without an address, and a name server that is silent', async () => {
  expect(await post('http://a.example/')).toEqual({ outcome: 'failed', reason: 'unresolved' });
  expect(await post('http://a.example/', { resolve: () => Promise.resolve([]) })).toEqual({
    outcome: 'failed',
    reason: 'unresolved',
  });
  const silent: Resolve = () => new Promise(() => undefined);
  expect(await post('http://a.example/', { resolve: silent, timeoutMs: 50 })).toEqual({
    outcome: 'failed',
    reason: 'timeout',
  });
});
