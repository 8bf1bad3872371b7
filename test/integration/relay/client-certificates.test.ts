import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { Secret } from '#crds/keyring.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { CERTIFICATE_HEADERS } from '#relay/access/certificate-headers.ts';
import type { CertificateSettings } from '#relay/access/client-certificates.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import { certificateAuthority, fingerprintOf, selfSigned } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { mounted } from '#test/parts/mounted-certificate.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { both, http, openSocket, type Door, type Way } from './certificate-door.ts';
import { MemoryWorld } from './memory-relay.ts';
import type { TestClient } from './test-client.ts';

// Client certificates at every door: from handshakes that end in the relay, and from headers of proxies. nginx is in nginx.test.ts.
// Long, because both ways to come with one are held against the same rules.

const authority = certificateAuthority();
const server = authority.issue('relay', 'IP:127.0.0.1');
const renewed = authority.issue('renewed', 'IP:127.0.0.1');
const billing = authority.issue('billing');
const reports = authority.issue('reports');
// What nobody vouches for is as good as any: it is the registration that counts.
const alone = selfSigned('DNS:alone.example');

const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const SECRET = 'between-the-proxy-and-the-relay-only';

let stack: AsyncDisposableStack;
let world: MemoryWorld;
let metrics: Registry;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  world = new MemoryWorld();
  metrics = new Registry();
  await requireCertificates(true);
  await world.directory.setToken(token.sha256);
  await world.directory.setCertificate(fingerprintOf(billing));
});
afterEach(() => stack.disposeAsync());

/** Whether the app requires certificates. */
const requireCertificates = (required: boolean): Promise<void> =>
  world.directory.setApp({
    access: { ...defaultedAccess(undefined), ...(required ? { clientCertificatesRequired: true } : {}) },
  });

type Options = { readonly trusted?: string; readonly settings?: Partial<CertificateSettings>; readonly asks?: boolean };
async function relayWithTls({ trusted = '', settings = {}, asks = true }: Options = {}) {
  const directory = stack.use(await temporaryDirectory('client-certificates'));
  const { files, swap } = await mounted(directory.path, server);
  const { port } = stack.use(
    await world.relay(
      {
        transport: { certificate: files, requireTls: false, requestCertificates: asks, reloadMs: 10 },
        proxies: {
          trusted: new IpRanges(parseIpRanges(trusted)),
          header: 'x-forwarded-for',
          certificates: {
            headers: CERTIFICATE_HEADERS,
            proxySecrets: [],
            proxyCertificates: new Set(),
            ...settings,
          },
        },
      },
      { metricsRegistry: metrics },
    ),
  );
  const relay: Door = { port, authority: authority.cert, token: token.token, metrics };
  return { relay, swap };
}

async function established(relay: Door, way: Way): Promise<TestClient> {
  const client = stack.use(openSocket(relay, way));
  await client.event('pusher:connection_established');
  return client;
}

const ignoredHeaders = async (reason: string): Promise<number> => {
  const metric = await metrics.getSingleMetric('relay_client_certificate_headers_ignored_total')?.get();
  return metric?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? 0;
};

describe('TLS that ends in the relay', () => {
  test('lets in who has a certificate of the app, and nobody else', async () => {
    const { relay } = await relayWithTls();
    expect(await both(relay, { tls: billing })).toBe('in');
    expect(await both(relay, { tls: null })).toBe('client_certificate_required');
    expect(await both(relay, {})).toBe('client_certificate_required');
    expect(await both(relay, { tls: reports })).toBe('client_certificate_unknown');
    await world.directory.setCertificate(fingerprintOf(reports), { appId: '102' });
    expect(await both(relay, { tls: reports })).toBe('client_certificate_unknown');
    await world.directory.setCertificate(fingerprintOf(reports), { notAfter: Date.now() });
    expect(await both(relay, { tls: reports })).toBe('client_certificate_expired');
    await world.directory.setCertificate(fingerprintOf(reports), { notAfter: Date.now() + 60_000 });
    expect(await both(relay, { tls: reports })).toBe('in');
    await world.directory.setCertificate(fingerprintOf(alone));
    expect(await both(relay, { tls: alone })).toBe('in');
  });

  test('an app that requires none lets everybody in', async () => {
    const { relay } = await relayWithTls();
    await requireCertificates(false);
    for (const tls of [billing, reports, null]) expect(await both(relay, { tls })).toBe('in');
  });

  test('where nobody is asked for a certificate, nobody has one', async () => {
    const { relay } = await relayWithTls({ asks: false });
    expect(await both(relay, { tls: billing })).toBe('client_certificate_required');
  });

  test('a certificate without its private key is none', async () => {
    const { relay } = await relayWithTls();
    // What a thief has: the certificate is public.
    await expect(http(relay, { tls: { cert: billing.cert, key: reports.key } })).rejects.toThrow(
      /key values mismatch/i,
    );
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a session of %s that is resumed keeps its certificate',
    async (version) => {
      const { relay } = await relayWithTls();
      const only = { minVersion: version, maxVersion: version };
      const session = await sessionOf(relay, { ...billing, ...only });
      const connection = { ...only, session };
      expect(await isResumed(relay, connection)).toBe(true);
      // No certificate is sent any more: the session has it.
      expect(await both(relay, { tls: null, connection })).toBe('in');
      await world.directory.removeCertificate(fingerprintOf(billing));
      expect(await both(relay, { tls: null, connection })).toBe('client_certificate_unknown');
      const bare = await sessionOf(relay, only);
      await world.directory.setCertificate(fingerprintOf(billing));
      expect(await both(relay, { tls: null, connection: { ...only, session: bare } })).toBe(
        'client_certificate_required',
      );
    },
  );

  test('goes on when the certificate of the relay is replaced', async () => {
    const { relay, swap } = await relayWithTls();
    const client = await established(relay, { tls: billing });
    const session = await sessionOf(relay, billing);
    await swap(renewed);
    await eventually(async () => (await nameServed(relay)) === 'renewed');
    expect(await both(relay, { tls: billing })).toBe('in');
    expect(await both(relay, { tls: null })).toBe('client_certificate_required');
    // Resumed or not, it is the same client.
    expect(await both(relay, { tls: billing, connection: { session } })).toBe('in');
    await client.settled();
    expect(client.closeCode).toBeUndefined();
  });
});

describe('open sockets', () => {
  test('are closed when their certificate is revoked, before the change counts as applied', async () => {
    const { relay } = await relayWithTls();
    await world.directory.setCertificate(fingerprintOf(reports));
    const [kept, revoked] = [await established(relay, { tls: billing }), await established(relay, { tls: reports })];
    await world.directory.removeCertificate(fingerprintOf(reports));
    expect(await revoked.closed()).toBe(4009);
    await kept.settled();
    expect(kept.closeCode).toBeUndefined();
  });

  test('are closed when their certificate expires', async () => {
    const { relay } = await relayWithTls();
    const end = Date.now() + 1_500;
    await world.directory.setCertificate(fingerprintOf(reports), { notAfter: end });
    const [kept, ending] = [await established(relay, { tls: billing }), await established(relay, { tls: reports })];
    expect(await ending.closed()).toBe(4009);
    expect(Date.now()).toBeGreaterThanOrEqual(end);
    expect(await metrics.metrics()).toContain('relay_refusals_total{door="live",code="client_certificate_expired"} 1');
    await kept.settled();
    expect(kept.closeCode).toBeUndefined();
  });

  test('that came with a valid one stay when certificates become required, others do not', async () => {
    await requireCertificates(false);
    const { relay } = await relayWithTls();
    const [kept, ...others] = [
      await established(relay, { tls: billing }),
      await established(relay, { tls: reports }),
      await established(relay, { tls: null }),
    ];
    await requireCertificates(true);
    for (const client of others) expect(await client.closed()).toBe(4009);
    await kept.settled();
    expect(kept.closeCode).toBeUndefined();
  });
});

describe('headers', () => {
  const fingerprint = fingerprintOf(billing);
  const escaped = encodeURIComponent(billing.cert);
  const base64 = billing.cert.replace(/-----[A-Z ]+-----|\s/g, '');
  const forms: readonly [string, OutgoingHttpHeaders][] = [
    ['a fingerprint', { 'x-client-cert-fingerprint': fingerprint }],
    [
      'a fingerprint as OpenSSL prints it',
      { 'X-Client-Cert-Fingerprint': fingerprint.toUpperCase().replace(/(..)(?=.)/g, '$1:') },
    ],
    ['a fingerprint in base64', { 'x-client-cert-fingerprint': Buffer.from(fingerprint, 'hex').toString('base64') }],
    ['nginx', { 'x-client-cert': escaped }],
    ['ingress-nginx', { 'ssl-client-cert': escaped }],
    ['Traefik', { 'x-forwarded-tls-client-cert': `${base64},${base64.slice(8)}` }],
    ['RFC 9440', { 'client-cert': `:${base64}:` }],
    [
      'Envoy',
      {
        'x-forwarded-client-cert': `Hash=${'0'.repeat(64)},By=spiffe://mesh/relay;Hash=${fingerprint};Subject="CN=a,b"`,
      },
    ],
    ['Envoy that sends the certificate', { 'x-forwarded-client-cert': `Cert="${escaped}"` }],
  ];

  test.each(forms)('of %s are believed from a trusted proxy, and from nobody else', async (_, headers) => {
    const { relay } = await relayWithTls({ trusted: '127.0.0.1' });
    expect(await both(relay, { headers })).toBe('in');
    expect(await ignoredHeaders('untrusted_peer')).toBe(0);
    await world.directory.removeCertificate(fingerprint);
    expect(await both(relay, { headers })).toBe('client_certificate_unknown');
  });

  test.each(forms)('of %s that a client makes up are ignored, and counted', async (_, headers) => {
    const { relay } = await relayWithTls();
    expect(await both(relay, { headers })).toBe('client_certificate_required');
    expect(await ignoredHeaders('untrusted_peer')).toBe(2);
    // Nor do they stand in for, or in the way of, the certificate that it has.
    expect(await both(relay, { tls: reports, headers })).toBe('client_certificate_unknown');
    const forged = { 'x-client-cert-fingerprint': fingerprintOf(reports) };
    expect(await both(relay, { tls: billing, headers: forged })).toBe('in');
  });

  test('that are no header of the installation are not looked at, from a trusted proxy either', async () => {
    const { relay } = await relayWithTls({ trusted: '127.0.0.1', settings: { headers: ['x-client-cert'] } });
    const forged = { 'x-client-cert-fingerprint': fingerprint, 'x-forwarded-client-cert': `Hash=${fingerprint}` };
    expect(await both(relay, { headers: forged })).toBe('client_certificate_required');
    expect(await both(relay, { headers: { ...forged, 'x-client-cert': encodeURIComponent(reports.cert) } })).toBe(
      'client_certificate_unknown',
    );
  });

  test.each<[string, OutgoingHttpHeaders]>([
    ['client_certificate_required', {}],
    ['client_certificate_required', { 'x-client-cert': '' }],
    ['client_certificate_unknown', { 'x-client-cert-fingerprint': 'ab'.repeat(32) }],
    ['client_certificate_sha1', { 'x-client-cert-fingerprint': 'ab'.repeat(20), 'x-client-cert': escaped }],
    ['client_certificate_unreadable', { 'x-client-cert-fingerprint': 'billing' }],
    ['client_certificate_contradictory', { 'x-client-cert': escaped, 'x-client-cert-fingerprint': 'ab'.repeat(32) }],
    ['header_duplicated', { 'x-client-cert-fingerprint': [fingerprint, fingerprint] }],
    ['header_duplicated', { 'x-client-cert': [escaped, escaped] }],
    ['header_duplicated', { 'ssl-client-cert': [escaped, ''] }],
    ['header_duplicated', { 'x-forwarded-client-cert': [`Hash=${fingerprint}`, `Hash=${fingerprint}`] }],
  ])('of a trusted proxy: %s', async (code, headers) => {
    const { relay } = await relayWithTls({ trusted: '127.0.0.1' });
    expect(await both(relay, { headers })).toBe(code);
  });

  test('with a secret, only who knows it is a proxy', async () => {
    const proxySecrets = [new Secret('the-next-secret-of-the-same-length!!'), new Secret(SECRET)];
    const { relay } = await relayWithTls({ trusted: '127.0.0.1', settings: { proxySecrets } });
    const headers = { 'x-client-cert-fingerprint': fingerprint };
    expect(await both(relay, { headers: { ...headers, 'x-relay-proxy-secret': SECRET } })).toBe('in');
    expect(await both(relay, { headers })).toBe('client_certificate_required');
    expect(await both(relay, { headers: { ...headers, 'x-relay-proxy-secret': SECRET.toUpperCase() } })).toBe(
      'client_certificate_required',
    );
    expect(await ignoredHeaders('proxy_unproven')).toBe(4);
    expect(await both(relay, { headers: { ...headers, 'x-relay-proxy-secret': [SECRET, SECRET] } })).toBe(
      'header_duplicated',
    );
  });

  test('with certificates of proxies, only who has one is a proxy, and it is no client', async () => {
    const proxy = authority.issue('proxy');
    const proxyCertificates = new Set([fingerprintOf(proxy)]);
    const { relay } = await relayWithTls({ trusted: '127.0.0.1', settings: { proxyCertificates } });
    const headers = { 'x-client-cert-fingerprint': fingerprint };
    expect(await both(relay, { tls: proxy, headers })).toBe('in');
    for (const tls of [undefined, null])
      expect(await both(relay, { headers, ...(tls === null ? { tls } : {}) })).toBe('client_certificate_required');
    expect(await both(relay, { tls: reports, headers })).toBe('client_certificate_unknown');
    // Even where somebody has registered the proxy's own.
    await world.directory.setCertificate(fingerprintOf(proxy));
    expect(await both(relay, { tls: proxy })).toBe('client_certificate_required');
  });

  test('close open sockets like handshakes do', async () => {
    const { relay } = await relayWithTls({ trusted: '127.0.0.1' });
    const client = await established(relay, { headers: { 'x-client-cert': escaped } });
    await world.directory.removeCertificate(fingerprint);
    expect(await client.closed()).toBe(4009);
  });
});

async function shaken({ port }: Door, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: authority.cert, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** A session of a connection that was used: with TLS 1.3 the ticket comes after the handshake. */
async function sessionOf(relay: Door, options: ConnectionOptions): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port: relay.port, ca: authority.cert, ...options });
  const session = once(socket, 'session') as Promise<[Buffer]>;
  socket.write('GET /openapi.json HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n');
  socket.resume();
  const [ticket] = await session;
  socket.destroy();
  return ticket;
}

async function isResumed(relay: Door, options: ConnectionOptions): Promise<boolean> {
  const socket = await shaken(relay, options);
  const resumed = socket.isSessionReused();
  socket.destroy();
  return resumed;
}

async function nameServed(relay: Door): Promise<string> {
  const socket = await shaken(relay, {});
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}
