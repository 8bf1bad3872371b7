import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { GeoipDatabase } from '#relay/access/geoip-database.ts';
import { geoipMetrics } from '#relay/access/geoip-metrics.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import type { RelaySettings } from '#relay/relay-parts.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import type { AppFields } from './hand-built-directory.ts';
import { MemoryWorld } from './memory-relay.ts';
import { serverSdk } from './sdks.ts';

// The rules of spec.access at every door, with the clients of one machine: a relay that trusts 127.0.0.1 as its proxy, and one that does not.
// Long, because it is a table: every rule at every door.

let world: MemoryWorld;
let relay: Relay;
let direct: Relay;
let metrics: Registry;
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));

type Headers = Readonly<Record<string, string>>;
type Access = NonNullable<AppFields['access']>;

const allow = (access: Partial<Access>): Promise<void> =>
  world.directory.setApp({ access: { ...defaultedAccess(undefined), ...access } });
const proxies = (trusted: string, header: RelaySettings['proxies']['header'] = 'x-forwarded-for') => ({
  proxies: { trusted: new IpRanges(parseIpRanges(trusted)), header },
});

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  await world.directory.setToken(token.sha256);
  metrics = new Registry();
  relay = await world.relay(proxies('127.0.0.0/8, 10.0.0.0/8'));
  direct = await world.relay({}, { metricsRegistry: metrics });
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await direct[Symbol.asyncDispose]();
});

const bearer = { authorization: `Bearer ${token.token}` };
const keyAndSecret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };

type Answer = { readonly status: number; readonly code: string | undefined };
async function send(at: Relay, path: string, headers: Headers, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${at.port}${path}`, { ...init, headers });
  const body = (await response.json()) as { error?: { code: string } };
  return { status: response.status, code: body.error?.code };
}
const get = (at: Relay, headers: Headers): Promise<Answer> => send(at, '/apps/101/channels', headers);

/** Every HTTP door and every way to come in. */
const requests: readonly (readonly [string, (at: Relay, headers: Headers) => Promise<Answer>])[] = [
  ['a bearer token', (at, headers) => get(at, { ...bearer, ...headers })],
  ['key and secret', (at, headers) => get(at, { ...keyAndSecret, ...headers })],
  [
    'a signature',
    (at, headers) => {
      const signed = serverSdk(at.port).createSignedQueryString({
        method: 'GET',
        path: '/apps/101/channels',
        params: {},
      });
      return send(at, `/apps/101/channels?${signed}`, headers);
    },
  ],
  [
    'the endpoint that signs for browsers',
    (at, headers) =>
      send(
        at,
        '/api/v1/apps/101/auth/channel',
        { ...bearer, 'content-type': 'application/json', ...headers },
        { method: 'POST', body: JSON.stringify({ socket_id: '1.2', channel_name: 'private-a' }) },
      ),
  ],
];

class Client implements Disposable {
  readonly webSocket: WebSocket;
  established = false;
  closeCode: number | undefined;

  constructor(at: Relay, headers: Headers) {
    this.webSocket = new WebSocket(`ws://127.0.0.1:${at.port}/app/appkey?protocol=7`, { headers });
    this.webSocket.on('message', (data: Buffer) => {
      if (data.toString().includes('connection_established')) this.established = true;
    });
    this.webSocket.on('close', (code) => (this.closeCode = code));
    this.webSocket.on('error', () => undefined);
  }

  /** `open`, or the close code. */
  verdict(): Promise<number | 'open'> {
    return eventually(() => this.closeCode ?? (this.established ? ('open' as const) : undefined));
  }

  [Symbol.dispose](): void {
    this.webSocket.terminate();
  }
}

/** Whether a request of every kind and a socket are let in with these headers. */
async function expectIn(at: Relay, headers: Headers): Promise<void> {
  for (const [name, request] of requests) {
    expect({ name, ...(await request(at, headers)) }).toEqual({ name, status: 200, code: undefined });
  }
  using client = new Client(at, headers);
  expect(await client.verdict()).toBe('open');
}
async function expectOut(at: Relay, headers: Headers, code: string): Promise<void> {
  for (const [name, request] of requests) {
    expect({ name, ...(await request(at, headers)) }).toEqual({ name, status: 403, code });
  }
  using client = new Client(at, headers);
  expect(await client.verdict()).toBe(4009);
}

const from = (address: string): Headers => ({ 'x-forwarded-for': address });

describe('origins', () => {
  const page = (origin: string): Headers => ({ origin });

  test('let in pages of these origins and what is no browser, and no other page, at every door', async () => {
    await allow({ origins: ['https://*.example.com', 'http://localhost:3000'] });
    await expectIn(relay, {});
    await expectIn(relay, page('https://shop.example.com'));
    await expectIn(relay, page('HTTPS://A.B.Example.com:443'));
    await expectIn(relay, page('http://localhost:3000'));
    await expectOut(relay, page('https://example.com'), 'origin_not_allowed');
    await expectOut(relay, page('https://example.com.evil.net'), 'origin_not_allowed');
    await expectOut(relay, page('null'), 'origin_not_allowed');
    await expectOut(relay, page('https://shop.example.com, https://evil.net'), 'origin_not_allowed');
  });

  test('two Origin headers are one that is not on the list, in whatever order', async () => {
    await allow({ origins: ['https://example.com'] });
    for (const [first = '', second = ''] of [
      ['https://example.com', 'https://evil.net'],
      ['https://evil.net', 'https://example.com'],
    ]) {
      const { port } = relay;
      const response = new Promise<number>((resolve, reject) => {
        request(
          {
            port,
            path: '/apps/101/channels',
            headers: ['host', 'relay', 'authorization', bearer.authorization, 'origin', first, 'origin', second],
          },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode ?? 0);
          },
        )
          .on('error', reject)
          .end();
      });
      expect(await response).toBe(403);
    }
  });

  test('a change closes open sockets of pages that it shuts out, and no others', async () => {
    using inside = new Client(relay, page('https://example.com'));
    using native = new Client(relay, {});
    using outside = new Client(relay, page('https://evil.net'));
    for (const client of [inside, native, outside]) expect(await client.verdict()).toBe('open');
    await allow({ origins: ['https://example.com'] });
    expect(await eventually(() => outside.closeCode)).toBe(4009);
    expect([inside.closeCode, native.closeCode]).toEqual([undefined, undefined]);
  });
});

describe('countries', () => {
  const metric = async (registry: Registry, result: string): Promise<number> => {
    const lookups = await registry.getSingleMetric('relay_geoip_lookups_total')?.get();
    return lookups?.values.find(({ labels }) => labels['result'] === result)?.value ?? 0;
  };
  const geoip = new URL('geoip/', import.meta.url);
  const withDatabase = async (path: string, stack: AsyncDisposableStack): Promise<[Relay, Registry]> => {
    const registry = new Registry();
    const log = pino({ level: 'silent' });
    const geography = stack.use(await GeoipDatabase.open({ path, metrics: geoipMetrics(registry), log, checkMs: 20 }));
    const settings = proxies('127.0.0.1');
    return [stack.use(await world.relay(settings, { geography, metricsRegistry: registry })), registry];
  };

  test('of a database say who is let in or kept out, at every door', async () => {
    await using stack = new AsyncDisposableStack();
    const [located, registry] = await withDatabase(fileURLToPath(new URL('countries.mmdb', geoip)), stack);
    await allow({ countries: { mode: 'Allow', codes: ['DE', 'AT'] } });
    await expectIn(located, from('203.0.113.9'));
    await expectIn(located, from('::ffff:203.0.113.9'));
    await expectIn(located, from('2001:db8:1::9'));
    await expectOut(located, from('198.51.100.7'), 'country_not_allowed');
    await expectOut(located, from('2001:db8:2::9'), 'country_not_allowed');
    expect(await metric(registry, 'unknown')).toBe(0);
    // In the database without a country, and not in it.
    await expectOut(located, from('192.0.2.1'), 'country_not_allowed');
    await expectOut(located, from('8.8.8.8'), 'country_not_allowed');
    expect(await metric(registry, 'unknown')).toBe(10);

    await allow({ countries: { mode: 'Block', codes: ['DE', 'AT'] } });
    await expectOut(located, from('203.0.113.9'), 'country_not_allowed');
    await expectIn(located, from('198.51.100.7'));
    await expectIn(located, from('192.0.2.1'));
    await expectIn(located, from('8.8.8.8'));
  });

  test('are unknown without a database: nobody is in them, and it shows', async () => {
    await allow({ countries: { mode: 'Allow', codes: ['DE'] } });
    await expectOut(direct, {}, 'country_not_allowed');
    await allow({ countries: { mode: 'Block', codes: ['DE'] } });
    await expectIn(direct, {});
    expect(await metric(metrics, 'no_database')).toBe(10);
  });

  test('follow the file: it comes, is replaced by another, breaks, and is swapped as Kubernetes does it', async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await temporaryDirectory('geoip');
    stack.use(directory);
    const path = join(directory.path, 'countries.mmdb');
    const [located] = await withDatabase(path, stack);
    await allow({ countries: { mode: 'Allow', codes: ['DE'] } });
    const isIn = async (address: string): Promise<boolean> =>
      (await get(located, { ...bearer, ...from(address) })).status === 200;
    expect(await isIn('203.0.113.9')).toBe(false);

    await copyFile(new URL('countries.mmdb', geoip), path);
    await eventually(() => isIn('203.0.113.9'));

    // What is read later does not replace what works by what does not.
    await writeFile(path, 'not a database');
    using client = new Client(located, from('203.0.113.9'));
    expect(await client.verdict()).toBe('open');

    await copyFile(new URL('countries-later.mmdb', geoip), `${path}.new`);
    await rename(`${path}.new`, path);
    // The block has moved to France: its sockets are closed.
    expect(await eventually(() => client.closeCode)).toBe(4009);
    expect(await isIn('203.0.113.9')).toBe(false);

    const volume = join(directory.path, 'volume');
    for (const [version, file] of [
      ['one', 'countries-later.mmdb'],
      ['two', 'countries.mmdb'],
    ] as const) {
      await mkdir(join(volume, version), { recursive: true });
      await copyFile(new URL(file, geoip), join(volume, version, 'countries.mmdb'));
    }
    await symlink('one', join(volume, '..data'));
    await symlink(join('..data', 'countries.mmdb'), join(volume, 'countries.mmdb'));
    const [mounted] = await withDatabase(join(volume, 'countries.mmdb'), stack);
    expect(await get(mounted, { ...bearer, ...from('203.0.113.9') })).toMatchObject({ status: 403 });
    await symlink('two', join(volume, '..data_tmp'));
    await rename(join(volume, '..data_tmp'), join(volume, '..data'));
    await eventually(async () => (await get(mounted, { ...bearer, ...from('203.0.113.9') })).status === 200);
  });

  test('a change closes open sockets that it shuts out, and no others', async () => {
    await using stack = new AsyncDisposableStack();
    const [located] = await withDatabase(fileURLToPath(new URL('countries.mmdb', geoip)), stack);
    using german = new Client(located, from('203.0.113.9'));
    using french = new Client(located, from('198.51.100.7'));
    for (const client of [german, french]) expect(await client.verdict()).toBe('open');
    await allow({ countries: { mode: 'Block', codes: ['FR'] } });
    expect(await eventually(() => french.closeCode)).toBe(4009);
    expect(german.closeCode).toBeUndefined();
  });
});

describe('ipAllowlist', () => {
  test('lets in, at every door, who is on it and nobody else', async () => {
    await allow({ ipAllowlist: ['203.0.113.0/24', '2001:db8::/32'] });
    await expectIn(relay, from('203.0.113.9'));
    await expectIn(relay, from('2001:db8::9'));
    await expectOut(relay, from('203.0.114.9'), 'ip_not_allowed');
    await expectOut(relay, from('2001:db9::'), 'ip_not_allowed');
    // The proxy itself, when it forwards nobody.
    await expectOut(relay, {}, 'ip_not_allowed');
    await expectOut(direct, {}, 'ip_not_allowed');
  });

  test.each([
    '::ffff:203.0.113.9',
    '::FFFF:cb00:7109',
    '0:0:0:0:0:ffff:203.0.113.9',
    '203.0.113.9:4711',
    '[::ffff:203.0.113.9]:80',
  ])('knows an address in all its spellings: %s', async (address) => {
    await allow({ ipAllowlist: ['203.0.113.9'] });
    expect(await get(relay, { ...bearer, ...from(address) })).toMatchObject({ status: 200 });
  });

  test.each([
    '203.0.113.9, 198.51.100.7',
    '203.0.113.9,198.51.100.7, 10.0.0.1',
    '203.0.113.9, unknown',
    '203.0.113.9,',
    '203.0.113.9 198.51.100.7',
    '"203.0.113.9"',
    '203.0.113.009',
    '0xcb007109',
    'for=203.0.113.9',
  ])('is not taken in by %s', async (value) => {
    await allow({ ipAllowlist: ['203.0.113.9'] });
    expect(await get(relay, { ...bearer, ...from(value) })).toEqual({ status: 403, code: 'ip_not_allowed' });
  });

  test.each(['", 198.51.100.7', '"203.0.113.9, 198.51.100.7', '203.0.113.9", "127.0.0.1, 198.51.100.7'])(
    'does not take a client for its proxy because of what that passes on from it: %s',
    async (value) => {
      await allow({ ipAllowlist: ['127.0.0.0/8', '203.0.113.9'] });
      expect(await get(relay, { ...bearer, ...from(value) })).toEqual({ status: 403, code: 'ip_not_allowed' });
    },
  );

  test.each([
    ['in two lines, as one list', ['x-FORWARDED-for: 203.0.113.9', 'X-Forwarded-For: 198.51.100.7'], '403'],
    ['in two lines, the client last', ['X-Forwarded-For: 198.51.100.7', 'X-Forwarded-For: 203.0.113.9'], '200'],
    ['folded over lines', ['X-Forwarded-For: 203.0.113.9,', ' 198.51.100.7'], '400'],
    ['with a space before the colon', ['X-Forwarded-For : 203.0.113.9'], '400'],
    ['under a name that looks like it', ['X_Forwarded_For: 203.0.113.9'], '403'],
    ['empty in the last line', ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-For:'], '403'],
  ])('takes the header %s', async (_, lines, expected) => {
    await allow({ ipAllowlist: ['203.0.113.9'] });
    const socket = connect(relay.port, '127.0.0.1');
    const head = ['GET /apps/101/channels HTTP/1.1', 'Host: relay', `Authorization: ${bearer.authorization}`];
    socket.write([...head, ...lines, 'Connection: close', '\r\n'].join('\r\n'));
    expect((await text(socket)).slice(9, 12)).toBe(expected);
  });

  test('a header counts only from a trusted proxy; those of others are counted', async () => {
    await allow({ ipAllowlist: ['203.0.113.9'] });
    await expectOut(direct, from('203.0.113.9'), 'ip_not_allowed');
    await allow({ ipAllowlist: ['127.0.0.1'] });
    await expectIn(direct, from('198.51.100.7'));
    expect(await metrics.getSingleMetricAsString('relay_forwarding_headers_ignored_total')).toMatch(/ 10$/);
    // The one that this installation's proxies do not write is as made up; two at once are one attempt.
    await expectIn(direct, { forwarded: 'for=203.0.113.9' });
    await expectIn(direct, { forwarded: 'for=203.0.113.9', 'x-forwarded-for': '203.0.113.9' });
    expect(await metrics.getSingleMetricAsString('relay_forwarding_headers_ignored_total')).toMatch(/ 20$/);
  });

  test('one that is looked at again, because its body took long, is counted once', async () => {
    const body = '{"name":"x","channel":"orders","data":""}';
    const socket = connect(direct.port, '127.0.0.1');
    const head = ['POST /apps/101/events HTTP/1.1', 'Host: relay', `Authorization: ${bearer.authorization}`];
    const made = ['X-Forwarded-For: 203.0.113.9', 'Expect: 100-continue', `Content-Length: ${body.length}`];
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.write([...head, ...made, 'Connection: close', '\r\n'].join('\r\n'));
    await eventually(() => answer.startsWith('HTTP/1.1 100'));
    await allow({ ipAllowlist: ['127.0.0.1'] });
    socket.write(body);
    await eventually(() => answer.includes('HTTP/1.1 200'));
    expect(await metrics.getSingleMetricAsString('relay_forwarding_headers_ignored_total')).toMatch(/ 1$/);
  });

  test('only the one header that the platform chose counts', async () => {
    await using other = await world.relay(proxies('127.0.0.1', 'forwarded'));
    await allow({ ipAllowlist: ['203.0.113.9'] });
    await expectOut(other, from('203.0.113.9'), 'ip_not_allowed');
    await expectOut(relay, { forwarded: 'for=203.0.113.9' }, 'ip_not_allowed');
    await expectIn(other, { forwarded: 'for="203.0.113.9:80"', 'x-forwarded-for': '198.51.100.7' });
  });

  test('a change closes open sockets that it shuts out, and no others, before it counts as applied', async () => {
    using inside = new Client(relay, from('203.0.113.9'));
    using outside = new Client(relay, from('198.51.100.7'));
    expect([await inside.verdict(), await outside.verdict()]).toEqual(['open', 'open']);
    const closed = new Promise((resolve) => outside.webSocket.once('close', resolve));
    await allow({ ipAllowlist: ['203.0.113.0/24'] });
    expect(await closed).toBe(4009);
    await allow({ ipAllowlist: ['203.0.113.9'] });
    expect(inside.closeCode).toBeUndefined();
  });
});
