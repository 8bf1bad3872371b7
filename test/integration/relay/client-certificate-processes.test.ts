import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { certificateEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { certificateAuthority, fingerprintOf, type Certificate } from '#test/parts/certificate.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { startRelayInstallation, type RelayInstallation, type RelayProcess } from './relay-installation.ts';
import { TestClient } from './test-client.ts';

/** Two relays as they are deployed, whose settings say how clients show their certificates, and an operator that registers and revokes. */
const authority = certificateAuthority();
const billing = authority.issue('billing');
const SECRET = 'between-the-proxy-and-the-relay-only';
const stack = new AsyncDisposableStack();
let installation: RelayInstallation;
/** One ends TLS itself, one has a proxy in front that knows the secret. */
let ending: RelayProcess;
let proxied: RelayProcess;
let token: string;

const certificate = (registered: boolean, notAfter: number | null = null): EntryChange => ({
  key: certificateEntryKey('101', fingerprintOf(billing)),
  body: registered ? { appId: '101', namespace: 'shop', name: 'billing', notAfter } : null,
});
const publish = async (change: EntryChange): Promise<void> =>
  installation.operator.enforcedByAll(await installation.operator.publish(change));

beforeAll(async () => {
  const folder = stack.use(await temporaryDirectory('client-certificates')).path;
  const { cert, key } = authority.issue('relay', 'IP:127.0.0.1');
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  [ending, proxied] = await Promise.all([
    installation.launch('ending', {
      TLS_CERT_FILE: certFile,
      TLS_KEY_FILE: keyFile,
      TLS_CLIENT_CERTIFICATES: 'request',
    }),
    installation.launch('proxied', {
      TRUSTED_PROXIES: '127.0.0.1',
      CLIENT_CERT_HEADERS: 'Ssl-Client-Cert',
      PROXY_SECRET: SECRET,
    }),
  ]);
  await installation.ready(ending, proxied);
  await installation.app({ appId: '101', access: { clientCertificatesRequired: true } });
  token = await installation.token('101');
});
afterAll(() => stack.disposeAsync());

const asProxy = { 'ssl-client-cert': encodeURIComponent(billing.cert), 'x-relay-proxy-secret': SECRET };

async function atEnding(client?: Certificate): Promise<number | undefined> {
  const sent = request({
    host: '127.0.0.1',
    port: ending.port,
    path: '/apps/101/channels',
    headers: { authorization: `Bearer ${token}` },
    agent: false,
    ca: authority.cert,
    ...client,
  });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

async function atProxied(headers: Record<string, string>): Promise<number> {
  const url = `http://127.0.0.1:${proxied.port}/apps/101/channels`;
  return (await fetch(url, { headers: { ...headers, authorization: `Bearer ${token}` } })).status;
}

test('a registered certificate opens both ways in, and its removal closes them and what is open', async () => {
  await publish(certificate(true));
  expect([await atEnding(billing), await atEnding(), await atProxied(asProxy)]).toEqual([200, 403, 200]);
  expect(await atProxied({ 'ssl-client-cert': asProxy['ssl-client-cert'] })).toBe(403);
  await using direct = new TestClient(`wss://127.0.0.1:${ending.port}/app/101key?protocol=7`, {
    ca: authority.cert,
    ...billing,
  });
  await using behind = new TestClient(`ws://127.0.0.1:${proxied.port}/app/101key?protocol=7`, { headers: asProxy });
  await Promise.all([direct, behind].map((client) => client.event('pusher:connection_established')));
  await publish(certificate(false));
  expect([await atEnding(billing), await atProxied(asProxy)]).toEqual([403, 403]);
  expect([await direct.closed(), await behind.closed()]).toEqual([4009, 4009]);
});

test('the end of a certificate closes what is open without any change being published', async () => {
  await publish(certificate(true, Date.now() + 4_000));
  await using client = new TestClient(`ws://127.0.0.1:${proxied.port}/app/101key?protocol=7`, { headers: asProxy });
  await client.event('pusher:connection_established');
  expect(await client.closed()).toBe(4009);
  expect([await atEnding(billing), await atProxied(asProxy)]).toEqual([403, 403]);
});

test('no name of a certificate is in a log', () => {
  for (const { process } of [ending, proxied]) expect(process.output()).not.toMatch(/billing|test authority/);
});
