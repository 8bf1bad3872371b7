import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import type { Relay } from '#relay/relay.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { MemoryWorld } from './memory-relay.ts';

/** Connections that begin with a PROXY protocol header, as a proxy would write it, to a relay with an app that lets 203.0.113.9 in only. */
let world: MemoryWorld;
let relay: Relay;
let metrics: Registry;
const stack: AsyncDisposable[] = [];
const { token, sha256 } = mintToken('Live', randomBytes(MINT_BYTES));
const authority = certificateAuthority();

const started = async (
  trusted: string,
  registry: Registry,
  certificate?: { cert: string; key: string },
): Promise<Relay> => {
  const one = await world.relay(
    {
      proxies: {
        trusted: new IpRanges(parseIpRanges(trusted)),
        header: 'x-forwarded-for',
        proxyProtocol: true,
      },
      transport: { certificate, requireTls: false },
    },
    { metricsRegistry: registry },
  );
  stack.push(one);
  return one;
};

beforeEach(async () => {
  world = new MemoryWorld();
  metrics = new Registry();
  await world.directory.setApp({
    access: { ...defaultedAccess(undefined), ipAllowlist: ['203.0.113.9', '2001:db8::7'] },
  });
  await world.directory.setToken(sha256);
  relay = await started('127.0.0.1, 10.0.0.0/8', metrics);
});
afterEach(async () => {
  for (const one of stack.splice(0)) await one[Symbol.asyncDispose]();
});

const requestFor = (headers: Readonly<Record<string, string>> = {}): string =>
  [
    'GET /apps/101/channels HTTP/1.1',
    'Host: relay',
    `Authorization: Bearer ${token}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
    '\r\n',
  ].join('\r\n');
const statusOf = async (socket: NodeJS.ReadableStream): Promise<string> => (await text(socket)).slice(9, 12);

const dial = ({ port }: Relay, ...pieces: readonly (string | Buffer)[]): Socket => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  for (const piece of pieces) socket.write(piece);
  return socket;
};
const v1 = (source: string): string => `PROXY TCP4 ${source} 127.0.0.1 56324 6001\r\n`;
const v2 = (hex: string): Buffer => Buffer.from(`0d0a0d0a000d0a515549540a${hex}`, 'hex');
const V2_IPV6 = v2('2121002420010db800000000000000000000000720010db8000000000000000000000001dcae1771');
const V2_LOCAL = v2('20000000');

test.each<[string, string | Buffer, string]>([
  ['version 1', v1('203.0.113.9'), '200'],
  ['version 1, another client', v1('198.51.100.7'), '403'],
  ['version 2, IPv4', v2('2111000ccb0071097f000001dcae1771'), '200'],
  ['version 2, IPv4, another client', v2('2111000cc63364077f000001dcae1771'), '403'],
  ['version 2, IPv6', V2_IPV6, '200'],
  ['a health check of the proxy itself', V2_LOCAL, '403'],
])('the client is whom the header names: %s', async (_, header, expected) => {
  expect(await statusOf(dial(relay, header, requestFor()))).toBe(expected);
  const bytes = Buffer.concat([Buffer.from(header), Buffer.from(requestFor())]);
  expect(await statusOf(dial(relay, bytes))).toBe(expected);
});

test('the header may come in pieces, and the request with its last one', async () => {
  const socket = dial(relay);
  const bytes = Buffer.concat([V2_IPV6, Buffer.from(requestFor())]);
  for (const [from, to] of [
    [0, 1],
    [1, 13],
    [13, 40],
    [40, bytes.length],
  ]) {
    await new Promise((resolve) => socket.write(bytes.subarray(from, to), resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await statusOf(socket)).toBe('200');
});

test('a WebSocket knows its client, also later', async () => {
  const handshake = [
    'GET /app/appkey?protocol=7 HTTP/1.1',
    'Host: relay',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    '\r\n',
  ].join('\r\n');
  const socket = dial(relay, v1('203.0.113.9'), handshake);
  let seen = '';
  socket.on('data', (data: Buffer) => (seen += data.toString('latin1')));
  await eventually(() => seen.includes('connection_established'));
  const changed = world.directory.setApp({ access: { ...defaultedAccess(undefined), ipAllowlist: ['198.51.100.7'] } });
  await eventually(() => seen.includes('4009'));
  socket.destroy();
  await changed;
});

test('the header comes before TLS', async () => {
  const directory = await temporaryDirectory('proxy-protocol');
  stack.push(directory);
  const { cert, key } = authority.issue('relay', 'IP:127.0.0.1');
  const files = { cert: join(directory.path, 'tls.crt'), key: join(directory.path, 'tls.key') };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  const secure = await started('127.0.0.1', new Registry(), files);
  for (const [source, expected] of [
    ['203.0.113.9', '200'],
    ['198.51.100.7', '403'],
  ] as const) {
    const socket = connectTls({ socket: dial(secure, v1(source)), ca: authority.cert, host: '127.0.0.1' });
    socket.write(requestFor());
    expect(await statusOf(socket)).toBe(expected);
  }
  expect(await statusOf(dial(secure, v1('203.0.113.9'), requestFor()))).toBe('200');
});

test('a proxy behind the proxy may forward; a client may not', async () => {
  const forwarded = requestFor({ 'X-Forwarded-For': '203.0.113.9' });
  expect(await statusOf(dial(relay, v1('10.1.2.3'), forwarded))).toBe('200');
  expect(await statusOf(dial(relay, v1('198.51.100.7'), forwarded))).toBe('403');
});

test('without a valid header a proxy is cut off, and it is counted', async () => {
  for (const bytes of [requestFor(), 'PROXY TCP4 203.0.113.9\r\n', v2('31110000')]) {
    expect(await text(dial(relay, bytes, requestFor())).catch(() => '')).toBe('');
  }
  expect(await metrics.getSingleMetricAsString('relay_proxy_protocol_errors_total')).toMatch(/ 3$/);
});

test('whoever is no trusted proxy is a client: its header is no request', async () => {
  const other = await started('10.0.0.1', new Registry());
  expect(await statusOf(dial(other, v1('203.0.113.9'), requestFor()))).toBe('400');
  expect(await statusOf(dial(other, requestFor()))).toBe('403');
});

test('a connection that never says whose it is does not keep the relay from closing', async () => {
  const silent = dial(relay, 'PROXY TCP4');
  const closed = new Promise((resolve) => silent.once('close', resolve));
  silent.on('error', () => undefined);
  // Accepted in order: when another one was answered, this one waits.
  await statusOf(dial(relay, v1('203.0.113.9'), requestFor()));
  for (const one of stack.splice(0)) await one[Symbol.asyncDispose]();
  await closed;
});
