import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { eventually } from '#test/parts/eventually.ts';
import { serverSdk, startRelayInstallation, type RelayInstallation, type RelayProcess } from '../relay-installation.ts';
import { TestClient } from '../test-client.ts';

/** What the HTTP API says and does over relay processes with real Redis, one of them frozen at times. */
const APP = '101';
let installation: RelayInstallation;
let one: RelayProcess;
let two: RelayProcess;
let token: string;

beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  await installation.app({ appId: APP });
  const [first, second] = await installation.relays('relay-1', 'relay-2');
  if (first === undefined || second === undefined) throw new Error('no relays');
  [one, two] = [first, second];
  token = await installation.token(APP, ['connections:*', 'analytics:read', 'encryption:manage']);
});
afterAll(() => installation[Symbol.asyncDispose]());

const connected = ({ port }: RelayProcess): Promise<TestClient> => TestClient.connected(port, `${APP}key`);
const call = (relay: RelayProcess, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/${APP}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}` },
  });

const page = z.object({
  connections: z.array(z.looseObject({ socket_id: z.string(), channels: z.array(z.string()), replica: z.string() })),
  next: z.string().nullable(),
  incomplete: z.array(z.string()),
});
const list = async (relay: RelayProcess, query = ''): Promise<z.infer<typeof page>> =>
  page.parse(await (await call(relay, `/connections${query}`)).json());
const idsOf = ({ connections }: z.infer<typeof page>): string[] => connections.map(({ socket_id: id }) => id);

describe('connections', () => {
  test('both replicas list all, page by page, with who is where', async () => {
    await using a = await connected(one);
    await using b = await connected(two);
    await using c = await connected(two);
    const ids = [a, b, c].map(({ socketId }) => socketId).toSorted();
    for (const relay of [one, two]) {
      const all = await eventually(async () => {
        const found = await list(relay);
        return found.connections.length === 3 && found;
      });
      expect(idsOf(all)).toEqual(ids);
      expect([all.next, all.incomplete]).toEqual([null, []]);
      const first = await list(relay, '?limit=2');
      expect([idsOf(first), first.next]).toEqual([ids.slice(0, 2), ids[1]]);
      expect(idsOf(await list(relay, `?limit=2&cursor=${ids[1]}`))).toEqual(ids.slice(2));
    }
    await b.subscribe('orders', `${APP}secret`, `${APP}key`);
    const subscribed = await list(one, '?channel=orders');
    expect(subscribed.connections).toMatchObject([
      { socket_id: b.socketId, client: 'test 1', channels: ['orders'], channel_count: 1 },
    ]);
    expect(subscribed.connections[0]?.replica).toMatch(/^relay-2:/);
    expect(JSON.stringify(subscribed)).not.toContain('127.0.0.1');
  });

  test('disconnect closes a connection of the other replica with 4009; then nobody has it', async () => {
    await using client = await connected(two);
    await eventually(async () => idsOf(await list(one)).includes(client.socketId));
    expect((await call(one, `/connections/${client.socketId}`, { method: 'DELETE' })).status).toBe(204);
    expect(await client.closed()).toBe(4009);
    expect((await call(one, `/connections/${client.socketId}`, { method: 'DELETE' })).status).toBe(404);
  });

  test('a frozen replica is named, what the other one holds is listed; thawed, all is there again', async () => {
    await using here = await connected(one);
    await using there = await connected(two);
    await eventually(async () => idsOf(await list(one)).length === 2);
    two.process.signal('SIGSTOP');
    try {
      const found = await list(one);
      expect(idsOf(found)).toEqual([here.socketId]);
      expect(found.incomplete).toEqual([expect.stringMatching(/^relay-2:/)]);
      const answer = await call(one, `/connections/${there.socketId}`, { method: 'DELETE' });
      expect(await answer.json()).toMatchObject({ error: { code: 'replica_silent' } });
    } finally {
      two.process.signal('SIGCONT');
    }
    await eventually(async () => (await list(one)).incomplete.length === 0);
  });
});

test('terminate reaches the sockets of the user at the other replica', async () => {
  await using ada = await connected(two);
  ada.requestSignin({ id: 'ada' }, `${APP}secret`, `${APP}key`);
  await ada.event('pusher:signin_success');
  const response = await serverSdk(one, { appId: APP }).terminateUserConnections('ada');
  expect(await response.text()).toBe('{}');
  expect(await ada.closed()).toBe(4009);
});

test('public keys are known to both', async () => {
  const publicKey = Buffer.from('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a', 'hex').toString(
    'base64',
  );
  const put = await call(one, '/encryption/keys/ada', {
    method: 'PUT',
    body: JSON.stringify({ public_key: publicKey }),
  });
  expect(put.status).toBe(200);
  expect(await (await call(two, '/encryption/keys/ada')).json()).toEqual(await put.json());
});

test('usage of both replicas adds up, also of one that has ended', async () => {
  await installation.app({ appId: '102' });
  const [third] = await installation.relays('relay-3');
  if (third === undefined) throw new Error('no relay');
  const usage = z.object({ complete: z.boolean(), points: z.array(z.looseObject({ api_calls: z.int() })) });
  const count = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${one.port}/api/v1/apps/102/analytics?granularity=day`, {
      headers: { 'x-relay-key': '102key', 'x-relay-secret': '102secret' },
    });
    return usage.parse(await response.json()).points.at(-1)?.api_calls ?? 0;
  };
  for (const relay of [two, third, third]) await serverSdk(relay, { appId: '102' }).trigger('orders', 'x', '');
  await third.process.stop();
  // Its own calls are counted too, each by the next one at the latest.
  let asked = 0;
  await eventually(
    async () => {
      asked += 1;
      expect(await count()).toBe(3 + asked);
      return true;
    },
    { timeout: 15_000, interval: 500 },
  );
});
