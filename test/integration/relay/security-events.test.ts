import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { TestClient } from './test-client.ts';

/** What the activity of an app says of who was kept out. */
const world = new MemoryWorld();
const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(6));
let relay: Relay;
let ahead = 0;

beforeAll(async () => {
  await world.directory.setToken(token.sha256, { scopes: ['app:read'] });
  await world.directory.setApp();
  await world.directory.setApp({
    appId: '102',
    keys: [{ id: 'k2', key: 'otherkey', secret: 'othersecret' }],
    access: defaultedAccess({ ipAllowlist: ['203.0.113.0/24'] }),
  });
  relay = await world.relay({}, { now: () => performance.now() + ahead });
});
afterAll(() => relay[Symbol.asyncDispose]());

const asks = async (headers: Record<string, string>, appId = '101', path = '/channels'): Promise<number> =>
  (await fetch(`http://127.0.0.1:${relay.port}/apps/${appId}${path}`, { headers })).status;
const wrongSecret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'guessed' };
const told = (): unknown[] => world.activity.entries.splice(0);
const refused = (door: string, code: string, count = 1, appId = '101'): object => ({
  appId,
  type: 'refused',
  detail: { door, code, count },
});

test('each way to be kept out is told once, and how often it was when it is told again', async () => {
  for (let attempt = 0; attempt < 4; attempt += 1) expect(await asks(wrongSecret)).toBe(401);
  expect(await asks({ authorization: 'Bearer rly_live_guessed' })).toBe(401);
  expect(await asks({ authorization: `Bearer ${token.token}` })).toBe(403);
  expect(await asks({}, '102')).toBe(403);
  expect(told()).toEqual([
    refused('http', 'key_or_secret_wrong'),
    refused('http', 'token_unknown'),
    refused('http', 'scope_missing'),
    refused('http', 'ip_not_allowed', 1, '102'),
  ]);
  ahead += 600_000;
  await asks(wrongSecret);
  expect(told()).toEqual([refused('http', 'key_or_secret_wrong', 4)]);
});

test('at the WebSocket too', async () => {
  await using client = new TestClient(`ws://127.0.0.1:${relay.port}/app/otherkey?protocol=7`);
  expect(await client.closed()).toBe(4009);
  expect(await eventually(() => told())).toEqual([refused('websocket', 'ip_not_allowed', 1, '102')]);
});

test('a mistake is no such thing, and of an app that is not there nobody is told', async () => {
  expect(await asks({ 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' }, '101', '/channels?info=x')).toBe(400);
  expect(await asks({})).toBe(401);
  expect(await asks(wrongSecret, '103')).toBe(404);
  await using client = new TestClient(`ws://127.0.0.1:${relay.port}/app/appkey`);
  expect(await client.closed()).toBe(4008);
  expect(told()).toEqual([]);
});
