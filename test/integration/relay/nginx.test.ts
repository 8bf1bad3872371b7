import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { Secret } from '#crds/keyring.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import { certificateAuthority, fingerprintOf } from '#test/parts/certificate.ts';
import { freePorts } from '#test/parts/free-port.ts';
import { startNginx } from '#test/parts/nginx.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { both, openSocket, type Door } from './certificate-door.ts';
import { documentedSnippet } from './documented-snippet.ts';
import { MemoryWorld } from './memory-relay.ts';

/** A real nginx in front of the relay, set up as docs/mtls.md says, and as it must not be. */
const authority = certificateAuthority();
const server = authority.issue('relay', 'IP:127.0.0.1');
const billing = authority.issue('billing');
const reports = authority.issue('reports');
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const SECRET = 'the-text-of-PROXY_SECRET-32-characters-or-more';

const stack = new AsyncDisposableStack();
let world: MemoryWorld;
let metrics: Registry;
/** As documented; and with the SHA-1 that nginx has at hand. */
let documented: Door;
let sha1: Door;
/** The relay itself, for a neighbour with a trusted address. */
let behind: Door;

beforeAll(async () => {
  world = new MemoryWorld();
  metrics = new Registry();
  const relay = stack.use(
    await world.relay(
      {
        proxies: {
          trusted: new IpRanges(parseIpRanges('127.0.0.1')),
          header: 'x-forwarded-for',
          certificates: {
            headers: ['x-client-cert', 'x-client-cert-fingerprint'],
            proxySecrets: [new Secret(SECRET)],
            proxyCertificates: new Set(),
          },
        },
      },
      { metricsRegistry: metrics },
    ),
  );
  const directory = stack.use(await temporaryDirectory('nginx-tls'));
  await writeFile(join(directory.path, 'tls.crt'), server.cert);
  await writeFile(join(directory.path, 'tls.key'), server.key);
  const [one = 0, two = 0] = await freePorts(2);
  const text = await documentedSnippet('nginx');
  const [map, block] = [text.slice(0, text.indexOf('server {')), text.slice(text.indexOf('server {'))];
  const listening = (port: number, change: (text: string) => string = (text) => text): string =>
    change(block)
      .replace('listen 443', `listen 127.0.0.1:${port}`)
      .replaceAll('/etc/nginx/tls', directory.path)
      .replace(/http:\/\/[^;]+/, `http://127.0.0.1:${relay.port}`);
  const fingerprint = (text: string): string =>
    text
      .replace('X-Client-Cert $ssl_client_escaped_cert', 'X-Client-Cert-Fingerprint $ssl_client_fingerprint')
      .replace('location / {', 'location / { proxy_set_header X-Client-Cert "";');
  stack.use(await startNginx(`${map}${listening(one)}${listening(two, fingerprint)}`, two));
  const common = { authority: authority.cert, token: token.token, metrics };
  documented = { ...common, port: one };
  sha1 = { ...common, port: two };
  behind = { ...common, port: relay.port };
});
afterAll(() => stack.disposeAsync());

beforeEach(async () => {
  await world.directory.setApp({ access: { ...defaultedAccess(undefined), clientCertificatesRequired: true } });
  await world.directory.setToken(token.sha256);
  await world.directory.setCertificate(fingerprintOf(billing));
  await world.directory.removeCertificate(fingerprintOf(reports));
});

test('lets in who has a certificate of the app, and nobody else', async () => {
  expect(await both(documented, { tls: billing })).toBe('in');
  expect(await both(documented, { tls: null })).toBe('client_certificate_required');
  expect(await both(documented, { tls: reports })).toBe('client_certificate_unknown');
  await world.directory.setCertificate(fingerprintOf(reports), { notAfter: Date.now() - 1 });
  expect(await both(documented, { tls: reports })).toBe('client_certificate_expired');
});

test('a header that the client adds is replaced by nginx, with a certificate and without', async () => {
  const headers = { 'x-client-cert': encodeURIComponent(billing.cert) };
  expect(await both(documented, { tls: null, headers })).toBe('client_certificate_required');
  expect(await both(documented, { tls: reports, headers })).toBe('client_certificate_unknown');
});

test('a second believed header, which nginx lets through, cannot outdo the certificate that it saw', async () => {
  const headers = { 'x-client-cert-fingerprint': fingerprintOf(billing) };
  expect(await both(documented, { tls: reports, headers })).toBe('client_certificate_contradictory');
});

test('the SHA-1 that nginx has at hand is refused by name', async () => {
  expect(await both(sha1, { tls: billing })).toBe('client_certificate_sha1');
  expect(await both(sha1, { tls: null })).toBe('client_certificate_required');
});

test('a neighbour with a trusted address, who does not know the secret, is not believed', async () => {
  const headers = { 'x-client-cert': encodeURIComponent(billing.cert) };
  expect(await both(behind, { headers })).toBe('client_certificate_required');
  expect(await metrics.metrics()).toContain(
    'relay_client_certificate_headers_ignored_total{reason="proxy_unproven"} 2',
  );
});

test('events go through, and a revoked certificate closes the socket', async () => {
  await using client = openSocket(documented, { tls: billing });
  await client.event('pusher:connection_established');
  await client.subscribe('orders');
  await world.directory.removeCertificate(fingerprintOf(billing));
  expect(await client.closed()).toBe(4009);
});
