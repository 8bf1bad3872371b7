import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialUseFact } from '#crds/facts/credential-use.ts';
import { readReport, type FactReport } from '#crds/facts/report.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { defaultedAccess } from '#crds/access.ts';
import { CERTIFICATE_HEADERS } from '#relay/access/certificate-headers.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { PythonPusher } from '../conformance/server-sdk.ts';
import { keyring } from '../directory/installation.ts';
import { MemoryWorld } from '../relay/memory-relay.ts';
import { browser, serverSdk } from '../relay/sdks.ts';
import { TestClient } from '../relay/test-client.ts';

/** What a relay tells of each way in, with the SDKs as they are. */
const EVERY_MS = 50;
const keys = [
  { id: 'k1', key: 'appkey', secret: 'appsecret' },
  { id: 'k2', key: 'newkey', secret: 'secret2' },
  { id: 'k3', key: 'newkey', secret: 'secret3' },
];

let world: MemoryWorld;
let relay: Relay;
let python: PythonPusher;

// The first time on a machine its SDK is installed, which takes longer than a test may.
beforeAll(async () => {
  python = await PythonPusher.start();
}, 300_000);
afterAll(() => python[Symbol.asyncDispose]());
beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp({ keys });
  relay = await world.relay({}, { factTimes: { everyMs: EVERY_MS, toldAgainMs: 100 } });
});
afterEach(() => relay[Symbol.asyncDispose]());

async function reports(): Promise<FactReport[]> {
  const waiting = await world.facts.read(10_000);
  return waiting.map(({ text }) => {
    const report = readReport(keyring, text);
    if ('fault' in report) throw new Error(report.fault);
    return report;
  });
}

const uses = async (): Promise<CredentialUseFact[]> =>
  (await reports()).flatMap(({ facts }) => facts.credentialUses ?? []);

/** Sums by credential, with the last client that was named. */
async function told(): Promise<Record<string, { requests: number; client: string | null }>> {
  const sums: Record<string, { requests: number; client: string | null }> = {};
  for (const { appId, credential, requests, client } of await uses()) {
    expect(appId).toBe('101');
    const before = sums[credential];
    sums[credential] = { requests: (before?.requests ?? 0) + requests, client: client ?? before?.client ?? null };
  }
  return sums;
}

const becomes = (expected: Awaited<ReturnType<typeof told>>): Promise<unknown> =>
  eventually(async () => {
    expect(await told()).toEqual(expected);
    return true;
  });

const authOf = (secret: string, text: string): string =>
  `newkey:${createHmac('sha256', secret).update(text).digest('hex')}`;

const post = (headers: Record<string, string>): Promise<Response> =>
  fetch(`http://127.0.0.1:${relay.port}/apps/101/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'curl/8.5.0', ...headers },
    body: JSON.stringify({ name: 'e', channel: 'c', data: '{}' }),
  });

test('a publish signed by the Node SDK', async () => {
  const sdk = serverSdk(relay.port);
  for (let sent = 0; sent < 3; sent += 1) await sdk.trigger('c', 'e', {});
  await becomes({ k1: { requests: 3, client: 'pusher-http-node 5.3.4' } });
});

test('a publish signed by the Python SDK', async () => {
  const masterKey = Buffer.alloc(32, 7).toString('base64');
  const sdk = python.sdk({ appId: '101', key: 'appkey', secret: 'appsecret', port: relay.port, masterKey });
  await sdk.trigger('c', 'e', {});
  await becomes({ k1: { requests: 1, client: 'pusher-http-python 3.3.4' } });
});

test('a bearer token, by its public part', async () => {
  const token = mintToken('Live', randomBytes(MINT_BYTES));
  await world.directory.setToken(token.sha256, { id: token.id });
  expect((await post({ authorization: `Bearer ${token.token}` })).status).toBe(200);
  await becomes({ [token.id]: { requests: 1, client: 'curl 8.5.0' } });
});

test('key and secret in headers: of two secrets of one key, the one that was sent', async () => {
  expect((await post({ 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' })).status).toBe(200);
  expect((await post({ 'x-relay-key': 'newkey', 'x-relay-secret': 'secret2' })).status).toBe(200);
  await becomes({ k1: { requests: 1, client: 'curl 8.5.0' }, k2: { requests: 1, client: 'curl 8.5.0' } });
});

test('who is refused has used nothing', async () => {
  const wrong = mintToken('Live', randomBytes(MINT_BYTES));
  expect((await post({ authorization: `Bearer ${wrong.token}` })).status).toBe(401);
  expect((await post({ 'x-relay-key': 'appkey', 'x-relay-secret': 'wrong' })).status).toBe(401);
  expect((await post({ 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' })).status).toBe(200);
  await becomes({ k1: { requests: 1, client: 'curl 8.5.0' } });
});

test('pusher-js connects, and its socket keeps the key in use for as long as it is open, without being a request', async () => {
  using client = browser(relay.port);
  await eventually(() => client.connection.state === 'connected');
  const since = await eventually(async () => (await uses())[0]?.at);
  await eventually(async () => (await uses()).filter(({ at }) => at > since + 2 * EVERY_MS).length > 2);
  expect(await told()).toEqual({ k1: { requests: 1, client: 'js 8.6.0' } });
  client.disconnect();
  await eventually(() => client.connection.state === 'disconnected');
  // Whatever is told of others from now on, that socket is not among it.
  const linesOf = async (id: string): Promise<number> =>
    (await uses()).filter(({ credential }) => credential === id).length;
  let before = 0;
  for (let round = 1; round <= 4; round += 1) {
    await post({ 'x-relay-key': 'newkey', 'x-relay-secret': 'secret2' });
    await eventually(async () => (await linesOf('k2')) === round);
    if (round === 1) before = await linesOf('k1');
  }
  expect(await linesOf('k1')).toBe(before);
});

test('a socket says nothing of secrets: it uses the newest of its key', async () => {
  await using client = await TestClient.connected(relay.port, 'newkey');
  await becomes({ k3: { requests: 1, client: 'test 1' } });
  expect(client.all('pusher:connection_established')).toHaveLength(1);
});

test('signatures for channels and of sign-ins use the key that made them', async () => {
  await using client = await TestClient.connected(relay.port);
  const subscribe = (channel: string, signed: string): void =>
    client.send({ event: 'pusher:subscribe', data: { channel, auth: authOf('secret2', signed) } });
  subscribe('private-a', `${client.socketId}:private-a`);
  subscribe('private-b', 'something else');
  const user_data = '{"id":"ada"}';
  const auth = authOf('secret2', `${client.socketId}::user::${user_data}`);
  client.send({ event: 'pusher:signin', data: { auth, user_data } });
  await becomes({ k1: { requests: 1, client: 'test 1' }, k2: { requests: 2, client: null } });
});

describe('client certificates, named by a proxy that is trusted', () => {
  const [billing, unknown] = ['ab'.repeat(32), 'cd'.repeat(32)];
  const by = (fingerprint: string): Record<string, string> => ({ 'x-client-cert-fingerprint': fingerprint });
  const credentials = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };
  const asks = (required: boolean): Promise<void> =>
    world.directory.setApp({
      keys,
      access: { ...defaultedAccess(undefined), ...(required ? { clientCertificatesRequired: true } : {}) },
    });

  beforeEach(async () => {
    await relay[Symbol.asyncDispose]();
    const trusted = new IpRanges(parseIpRanges('127.0.0.1/32'));
    const certificates = { headers: CERTIFICATE_HEADERS, proxySecrets: [], proxyCertificates: new Set<string>() };
    relay = await world.relay(
      { proxies: { trusted, header: 'x-forwarded-for', certificates } },
      { factTimes: { everyMs: EVERY_MS, toldAgainMs: 100 } },
    );
    await world.directory.setCertificate(billing);
  });

  test('are in use where the app asks for them, beside the key; who is refused has used nothing', async () => {
    await asks(true);
    expect((await post({ ...credentials, ...by(billing) })).status).toBe(200);
    expect((await post({ ...credentials, ...by(unknown) })).status).toBe(403);
    const curl = { requests: 1, client: 'curl 8.5.0' };
    await becomes({ k1: curl, [billing]: curl });
  });

  test('are in use for as long as a socket is open that came with one', async () => {
    await asks(true);
    const client = new TestClient(`ws://127.0.0.1:${relay.port}/app/appkey?protocol=7&client=test&version=1`, {
      headers: by(billing),
    });
    await using open = client;
    await open.event('pusher:connection_established');
    const since = await eventually(async () => (await uses()).find(({ credential }) => credential === billing)?.at);
    await eventually(async () =>
      (await uses()).some(({ credential, at }) => credential === billing && at > since + 2 * EVERY_MS),
    );
    expect((await told())[billing]).toEqual({ requests: 1, client: 'test 1' });
  });

  test('are in use by nobody where the app asks for none', async () => {
    await asks(false);
    expect((await post({ ...credentials, ...by(billing) })).status).toBe(200);
    await using open = new TestClient(`ws://127.0.0.1:${relay.port}/app/newkey?protocol=7&client=test&version=1`, {
      headers: by(billing),
    });
    await open.event('pusher:connection_established');
    await becomes({ k1: { requests: 1, client: 'curl 8.5.0' }, k3: { requests: 1, client: 'test 1' } });
  });
});

test('at the end everything is told, and that it was the last', async () => {
  const slow = await world.relay({}, { factTimes: { everyMs: 3_600_000, toldAgainMs: 3_600_000 } });
  await serverSdk(slow.port).trigger('c', 'e', {});
  await slow[Symbol.asyncDispose]();
  const [last] = (await reports()).filter(({ replica }) => replica === 'relay-2');
  expect(last).toMatchObject({ seq: 1, last: true, facts: { credentialUses: [{ credential: 'k1', requests: 1 }] } });
});

test('while it cannot be told, facts add up and are told later', async () => {
  world.facts.goAway();
  const sdk = serverSdk(relay.port);
  for (let sent = 0; sent < 5; sent += 1) await sdk.trigger('c', 'e', {});
  world.facts.comeBack();
  await becomes({ k1: { requests: 5, client: 'pusher-http-node 5.3.4' } });
});
