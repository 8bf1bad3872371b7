import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { Secret } from '#crds/keyring.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import { certificateAuthority, fingerprintOf, selfSigned } from '#test/parts/certificate.ts';
import { freePort } from '#test/parts/free-port.ts';
import { startHaproxy } from '#test/parts/haproxy.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { both, type Door } from './certificate-door.ts';
import { documentedSnippet } from './documented-snippet.ts';
import { MemoryWorld } from './memory-relay.ts';

/** A real HAProxy in front of the relay, set up as docs/mtls.md says. */
const authority = certificateAuthority();
const server = authority.issue('relay', 'IP:127.0.0.1');
const billing = authority.issue('billing');
const reports = authority.issue('reports');
const alone = selfSigned('DNS:alone.example');
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const stack = new AsyncDisposableStack();
let door: Door;

beforeAll(async () => {
  const world = new MemoryWorld();
  const metrics = new Registry();
  const certificates = {
    headers: ['x-client-cert-fingerprint'] as const,
    proxySecrets: [new Secret('the-text-of-PROXY_SECRET-32-characters-or-more')],
    proxyCertificates: new Set<string>(),
  };
  const proxies = {
    trusted: new IpRanges(parseIpRanges('127.0.0.1')),
    header: 'x-forwarded-for' as const,
    certificates,
  };
  const relay = stack.use(await world.relay({ proxies }, { metricsRegistry: metrics }));
  await world.directory.setApp({ access: { ...defaultedAccess(undefined), clientCertificatesRequired: true } });
  await world.directory.setToken(token.sha256);
  for (const registered of [billing, alone]) await world.directory.setCertificate(fingerprintOf(registered));
  const { path } = stack.use(await temporaryDirectory('haproxy-tls'));
  await writeFile(join(path, 'relay.pem'), server.cert + server.key);
  // Of nobody who comes.
  await writeFile(join(path, 'ca.pem'), certificateAuthority().cert);
  const port = await freePort();
  const text = (await documentedSnippet('haproxy'))
    .replace('bind :443', `bind 127.0.0.1:${port}`)
    .replaceAll('/etc/haproxy', path)
    .replace(/server relay \S+/, `server relay 127.0.0.1:${relay.port}`);
  stack.use(await startHaproxy(text, port));
  door = { port, authority: authority.cert, token: token.token, metrics };
});
afterAll(() => stack.disposeAsync());

test('lets in who has a certificate of the app, whoever signed it, and nobody else', async () => {
  expect(await both(door, { tls: billing })).toBe('in');
  expect(await both(door, { tls: alone })).toBe('in');
  expect(await both(door, { tls: null })).toBe('client_certificate_required');
  expect(await both(door, { tls: reports })).toBe('client_certificate_unknown');
});

test('a header that the client adds is removed, with a certificate and without', async () => {
  const headers = { 'x-client-cert-fingerprint': fingerprintOf(billing) };
  expect(await both(door, { tls: null, headers })).toBe('client_certificate_required');
  expect(await both(door, { tls: reports, headers })).toBe('client_certificate_unknown');
});
