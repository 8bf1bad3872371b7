import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import type { CertificateFiles } from '#relay/transport/server-certificate.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { mounted } from '#test/parts/mounted-certificate.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { MemoryWorld } from './memory-relay.ts';
import { TestClient } from './test-client.ts';

/** TLS that the relay itself ends, with certificates that are mounted as Kubernetes mounts a Secret. */
const authority = certificateAuthority();
const NAMES = ['IP:127.0.0.1', 'DNS:relay.example'];
const first = authority.issue('first', ...NAMES);
const second = authority.issue('second', ...NAMES);

async function started(
  files: CertificateFiles | undefined,
  { requireTls = true, trusted = [] }: { readonly requireTls?: boolean; readonly trusted?: readonly string[] } = {},
) {
  const world = new MemoryWorld();
  await world.directory.setApp();
  const { token, sha256 } = mintToken('Live', randomBytes(MINT_BYTES));
  await world.directory.setToken(sha256);
  const metricsRegistry = new Registry();
  const relay = await world.relay(
    {
      transport: { certificate: files, requireTls, reloadMs: 10 },
      proxies: { trusted: new IpRanges(parseIpRanges(trusted.join(','))), header: 'x-forwarded-for' },
    },
    { metricsRegistry, log: pino({ level: 'silent' }) },
  );
  return { relay, token, metricsRegistry, port: relay.port };
}

async function shaken(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: authority.cert, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** The name in the certificate that new connections get. */
async function subject(port: number): Promise<string> {
  const socket = await shaken(port);
  try {
    return String(socket.getPeerCertificate().subject.CN);
  } finally {
    socket.destroy();
  }
}

async function post(port: number, path: string, headers: Record<string, string>, body: string) {
  const sent = request({ host: '127.0.0.1', port, ca: authority.cert, method: 'POST', path, headers, agent: false });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

const wss = (port: number): TestClient =>
  new TestClient(`wss://127.0.0.1:${port}/app/appkey?protocol=7`, { ca: authority.cert });

test('HTTPS and wss on the port of the clients', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, first);
  const { relay, token, port } = await started(files);
  await using _relay = relay;
  await using client = wss(port);
  await client.event('pusher:connection_established');
  await client.subscribe('orders');
  const data = 'x'.repeat(10_000);
  const headers = { authorization: `Bearer ${token}` };
  const body = JSON.stringify({ name: 'paid', channel: 'orders', data });
  expect(await post(port, '/apps/101/events', headers, body)).toBe(200);
  expect((await client.event('paid', 'orders')).data).toBe(data);
});

test('TLS 1.2 and 1.3, nothing older', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, first);
  const { relay, port, metricsRegistry } = await started(files);
  await using _relay = relay;
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await expect(shaken(port, old)).rejects.toThrow(/protocol version/i);
  await eventually(async () => (await metricsRegistry.metrics()).includes('relay_tls_handshake_failures_total 1'));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shaken(port, { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.destroy();
  }
});

test('a mounted certificate that changes is served to new connections; open ones go on', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files, swap } = await mounted(directory.path, first);
  const { relay, port, metricsRegistry } = await started(files);
  await using _relay = relay;
  await using client = wss(port);
  await client.event('pusher:connection_established');
  expect(await subject(port)).toBe('first');

  // Halfway: the new certificate with the key of the old one.
  await swap({ cert: second.cert, key: first.key });
  await eventually(async () => (await metricsRegistry.metrics()).includes('relay_tls_reload_failures_total 1'));
  expect(await subject(port)).toBe('first');

  await swap(second);
  await eventually(async () => (await subject(port)) === 'second');
  expect(await metricsRegistry.metrics()).toMatch(/relay_tls_certificate_not_after_seconds 1\d{9}\n/);
  await client.settled();
  expect(client.closeCode).toBeUndefined();
});

test('a relay whose certificate is not there, or has another key, does not start', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, { cert: first.cert, key: second.key });
  await expect(started(files)).rejects.toThrow(/key values mismatch/i);
  await expect(started({ ...files, cert: join(directory.path, 'absent') })).rejects.toThrow(/ENOENT/);
});

// Sooner than the handshake's own limit of 10 s would cut them.
test(
  'connections that say nothing, or half a handshake, do not keep the relay from stopping',
  { timeout: 9_000 },
  async () => {
    await using directory = await temporaryDirectory('tls');
    const { files } = await mounted(directory.path, first);
    const { relay, port } = await started(files);
    const silent = connectPlain(port, '127.0.0.1');
    const half = connectPlain(port, '127.0.0.1');
    await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
    const ended = Promise.all([once(silent, 'close'), once(half, 'close')]);
    silent.on('error', () => undefined);
    half.on('error', () => undefined);
    half.write(Buffer.from([0x16, 0x03, 0x01]));
    // Both have arrived once a later connection is served.
    await subject(port);
    await relay[Symbol.asyncDispose]();
    await ended;
  },
);

/** A request and a WebSocket in plaintext: status and code of the one, close code of the other (undefined: it was let in). */
async function plaintext(port: number, token: string, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${port}/apps/101/channels`, {
    headers: { ...headers, authorization: `Bearer ${token}` },
  });
  const body = (await response.json()) as { error?: { code: string } };
  await using client = new TestClient(`ws://127.0.0.1:${port}/app/appkey?protocol=7`, { headers });
  await eventually(() => client.closeCode !== undefined || client.received.length > 0);
  const told = client.received.some(({ event }) => event === 'pusher:connection_established');
  return { status: response.status, code: body.error?.code, close: told ? undefined : await client.closed() };
}

const REFUSED = { status: 403, code: 'tls_required', close: 4000 };
const LET_IN = { status: 200, code: undefined, close: undefined };

test('plaintext on the port with TLS is told to come back by TLS', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, first);
  const { relay, token, port, metricsRegistry } = await started(files);
  await using _relay = relay;
  // Nobody is trusted: what this header says is nobody's word.
  expect(await plaintext(port, token, { 'x-forwarded-proto': 'https' })).toEqual(REFUSED);
  await using client = wss(port);
  await client.event('pusher:connection_established');
  expect(await metricsRegistry.metrics()).toContain('relay_refusals_total{door="websocket",code="tls_required"} 1');
});

test('plaintext is told so whatever it asks for: a path that is mistyped has a token with it too', async () => {
  const { relay, port } = await started(undefined, { trusted: ['127.0.0.0/8'] });
  await using _relay = relay;
  const headers = { 'x-forwarded-proto': 'http' };
  for (const [method, path] of [
    ['GET', '/openapi.json'],
    ['GET', '/app/101/channels'],
    ['DELETE', '/apps/101/channels'],
  ] as const) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers });
    expect([path, response.status]).toEqual([path, 403]);
    expect(await response.json()).toMatchObject({ error: { code: 'tls_required' } });
  }
  await using client = new TestClient(`ws://127.0.0.1:${port}/apps/appkey?protocol=7`, { headers });
  expect(await client.closed()).toBe(4000);
});

test('plaintext and TLS on one port where plaintext is allowed', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, first);
  const { relay, token, port } = await started(files, { requireTls: false });
  await using _relay = relay;
  expect(await plaintext(port, token)).toEqual(LET_IN);
  await using client = wss(port);
  await client.event('pusher:connection_established');
});

test('behind a trusted proxy that ends TLS it is what the proxy says that counts', async () => {
  const { relay, token, port } = await started(undefined, { trusted: ['127.0.0.0/8'] });
  await using _relay = relay;
  expect(await plaintext(port, token, { 'x-forwarded-proto': 'https' })).toEqual(LET_IN);
  expect(await plaintext(port, token, { 'x-forwarded-proto': 'http' })).toEqual(REFUSED);
  expect(await plaintext(port, token, { 'x-forwarded-proto': 'http, https' })).toEqual(REFUSED);
  expect(await plaintext(port, token)).toEqual(REFUSED);
});

test('a trusted proxy that speaks TLS to the relay does not hide that its client did not', async () => {
  await using directory = await temporaryDirectory('tls');
  const { files } = await mounted(directory.path, first);
  const { relay, token, port } = await started(files, { trusted: ['127.0.0.1'] });
  await using _relay = relay;
  const headers = { authorization: `Bearer ${token}`, 'x-forwarded-proto': 'http' };
  expect(await post(port, '/apps/101/events', headers, '{}')).toBe(403);
});
