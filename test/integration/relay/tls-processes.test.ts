import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { freePort } from '#test/parts/free-port.ts';
import { withUser } from '#test/parts/redis-users.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { serverSdk, startRelayInstallation, type RelayInstallation, type RelayProcess } from './relay-installation.ts';
import { TestClient } from './test-client.ts';

/** A relay as it is deployed, with two workers: TLS to its clients and to Redis, which wants a certificate of it. */
const authority = certificateAuthority();
const stack = new AsyncDisposableStack();
let installation: RelayInstallation;
let relay: RelayProcess;
let folder: string;

beforeAll(async () => {
  folder = stack.use(await temporaryDirectory('tls-processes')).path;
  const file = (name: string): string => join(folder, name);
  await writeFile(file('ca.crt'), authority.cert);
  for (const [name, ...names] of [['redis', 'DNS:redis.internal'], ['relay', 'IP:127.0.0.1'], ['link']] as const) {
    const { cert, key } = authority.issue(name, ...names);
    await writeFile(file(`${name}.crt`), cert);
    await writeFile(file(`${name}.key`), key);
  }
  const port = await freePort();
  installation = stack.use(
    await startRelayInstallation(inject('postgresUrl'), {
      redisArgs: [
        '--tls-port',
        String(port),
        '--tls-ca-cert-file',
        file('ca.crt'),
        '--tls-cert-file',
        file('redis.crt'),
        '--tls-key-file',
        file('redis.key'),
      ],
    }),
  );
  relay = await installation.launch('relay-1', {
    REDIS_URL: withUser(`rediss://127.0.0.1:${port}`, 'relay'),
    REDIS_TLS_CA_FILE: file('ca.crt'),
    REDIS_TLS_CERT_FILE: file('link.crt'),
    REDIS_TLS_KEY_FILE: file('link.key'),
    REDIS_TLS_SERVER_NAME: 'redis.internal',
    TLS_CERT_FILE: file('relay.crt'),
    TLS_KEY_FILE: file('relay.key'),
    RELAY_WORKERS: '2',
  });
  await installation.ready(relay);
  await installation.app({ appId: '101' });
});
afterAll(() => stack.disposeAsync());

const client = (): TestClient =>
  new TestClient(`wss://127.0.0.1:${relay.port}/app/101key?protocol=7`, { ca: authority.cert });

test('events over TLS, between workers over Redis', async () => {
  // Connections are handed out in turn: four reach both workers.
  const clients = Array.from({ length: 4 }, client);
  for (const each of clients) {
    await each.event('pusher:connection_established');
    await each.subscribe('private-orders', '101secret', '101key');
  }
  clients[0]?.send({ event: 'client-paid', channel: 'private-orders', data: '{}' });
  for (const each of clients.slice(1)) await each.event('client-paid', 'private-orders');
  for (const each of clients) await each[Symbol.asyncDispose]();
});

test('plaintext is told so by whichever worker it reaches', async () => {
  for (let at = 0; at < 2; at += 1) {
    await using plain = new TestClient(`ws://127.0.0.1:${relay.port}/app/101key?protocol=7`);
    expect(await plain.closed()).toBe(4000);
  }
  await expect(serverSdk(relay, { appId: '101' }).get({ path: '/channels' })).rejects.toMatchObject({ status: 403 });
});

test('another certificate is served by every worker soon after it was mounted', async () => {
  const next = authority.issue('renewed', 'IP:127.0.0.1');
  await writeFile(join(folder, 'relay.crt'), next.cert);
  await writeFile(join(folder, 'relay.key'), next.key);
  const names = async (): Promise<string[]> => Promise.all(Array.from({ length: 4 }, subject));
  await eventually(async () => (await names()).every((name) => name === 'renewed'), { timeout: 20_000 });
});

async function subject(): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: relay.port, ca: authority.cert });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    await promise;
    return String(socket.getPeerCertificate().subject.CN);
  } finally {
    socket.destroy();
  }
}
