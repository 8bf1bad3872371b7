import Pusher from 'pusher';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Rate } from '#crds/rate.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { App } from '#relay/directory/directory.ts';
import type { Lease, RateStore } from '#relay/limits/rate-store.ts';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { MemoryWorld } from './memory-relay.ts';
import { serverSdk } from './sdks.ts';
import { TestClient } from './test-client.ts';

/** Two replicas and one budget, over the doors. */
let world: MemoryWorld;
let relay: Relay;
let other: Relay;
const live = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const trial = mintToken('Test', new Uint8Array(MINT_BYTES).fill(8));

// So slow that no test sees a token come back.
const rate = (burst: number): Rate => ({ requestsPerMinute: 1, burst });
const limits = (of: Rate | null): App['limits'] => ({ ...DEFAULT_POLICY.limits, rate: of });

beforeEach(async () => {
  world = new MemoryWorld();
  await world.directory.setApp();
  await world.directory.setToken(live.sha256);
  await world.directory.setToken(trial.sha256, { environment: 'Test', name: 'trial' });
  const settings = { rates: { app: null, testToken: rate(2) } };
  relay = await world.relay(settings);
  other = await world.relay(settings);
});
afterEach(async () => {
  await relay[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const bearer = (token = live.token): Record<string, string> => ({ authorization: `Bearer ${token}` });
const keyAndSecret = { 'x-relay-key': 'appkey', 'x-relay-secret': 'appsecret' };
const get = (at: Relay, headers: Record<string, string> = bearer(), path = '/channels'): Promise<Response> =>
  fetch(`http://127.0.0.1:${at.port}/api/v1/apps/101${path}`, { headers });
const statuses = async (requests: readonly Promise<Response>[]): Promise<number[]> =>
  (await Promise.all(requests)).map(({ status }) => status).toSorted((a, b) => a - b);
const statusOf = ({ status }: { readonly status: number }): number => status;
const connectTo = ({ port }: Relay): TestClient =>
  new TestClient(`ws://127.0.0.1:${port}/app/appkey?protocol=7&client=test&version=1`);

describe('requests', () => {
  test.each([
    ['a signed event', () => serverSdk(relay.port).trigger('orders', 'late', '').then(statusOf, statusOf)],
    ['a question by bearer token', async () => statusOf(await get(relay))],
  ])('%s that waited for the budget is judged by the rules of then', async (_, ask) => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<Lease>();
    const rateStore: RateStore = {
      lease: () => {
        asked.resolve();
        return answered.promise;
      },
      replicas: () => 1,
    };
    await relay[Symbol.asyncDispose]();
    relay = await world.relay({}, { rateStore });
    await world.directory.setApp({ limits: limits(rate(4)) });
    const answer = ask();
    await asked.promise;
    await world.directory.setApp({ limits: limits(rate(4)), enabled: false });
    answered.resolve({ granted: 1, left: 3 });
    expect(await answer).toBe(403);
  });

  test('without a limit no header speaks of one', async () => {
    const { headers } = await get(relay);
    expect([...headers.keys()].filter((name) => /ratelimit|retry/.test(name))).toEqual([]);
  });

  test('one budget for both replicas and all ways to authenticate; every answer says what is left', async () => {
    await world.directory.setApp({ limits: limits(rate(4)) });
    const first = await get(relay);
    expect([first.status, first.headers.get('ratelimit-policy'), first.headers.get('ratelimit')]).toEqual([
      200,
      '"app";q=4;w=240',
      '"app";r=3;t=60',
    ]);
    expect((await get(other, keyAndSecret)).headers.get('ratelimit')).toBe('"app";r=2;t=60');
    const signed = await serverSdk(relay.port).trigger('a', 'x', '');
    expect([signed.status, signed.headers.get('ratelimit')]).toEqual([200, '"app";r=1;t=60']);
    expect((await get(other)).status).toBe(200);

    for (const [at, headers] of [
      [relay, bearer()],
      [other, keyAndSecret],
    ] as const) {
      const refused = await get(at, headers);
      expect(refused.status).toBe(429);
      expect(await refused.json()).toMatchObject({ error: { code: 'rate_limited' } });
      const wait = Number(refused.headers.get('retry-after'));
      expect(wait).toBeGreaterThan(50);
      expect(wait).toBeLessThanOrEqual(60);
      expect(refused.headers.get('ratelimit')).toBe(`"app";r=0;t=${wait}`);
      expect(refused.headers.get('ratelimit-policy')).toBe('"app";q=4;w=240');
    }
    await expect(serverSdk(other.port).trigger('a', 'x', '')).rejects.toMatchObject({ status: 429 });
  });

  test('a batch is one request', async () => {
    await world.directory.setApp({ limits: limits(rate(2)) });
    const batch = Array.from({ length: 10 }, (_, at) => ({ channel: `c${at}`, name: 'x', data: '' }));
    const { headers } = await serverSdk(relay.port).triggerBatch(batch);
    expect(headers.get('ratelimit')).toBe('"app";r=1;t=60');
  });

  test('who cannot authenticate, or lacks the scope, uses nothing up', async () => {
    await world.directory.setApp({ limits: limits(rate(1)) });
    await world.directory.setToken(trial.sha256, { scopes: ['app:read'] });
    const [host, port] = ['127.0.0.1', String(relay.port)];
    const wrong = new Pusher({ appId: '101', key: 'appkey', secret: 'wrong', host, port, useTLS: false });
    for (let attempt = 0; attempt < 5; attempt += 1) {
      expect((await get(relay, bearer('rly_live_x'))).status).toBe(401);
      expect((await get(relay, { ...keyAndSecret, 'x-relay-secret': 'wrong' })).status).toBe(401);
      expect((await get(relay, bearer(trial.token))).status).toBe(403);
      await expect(wrong.trigger('a', 'x', '')).rejects.toMatchObject({ status: 401 });
    }
    expect((await get(relay)).status).toBe(200);
  });

  test("a token with a rate has a budget of its own, which is the RelayToken's: its successor shares it", async () => {
    await world.directory.setApp({ limits: limits(rate(3)) });
    await world.directory.setToken(live.sha256, { rate: rate(2) });
    const successor = mintToken('Live', new Uint8Array(MINT_BYTES).fill(9));
    await world.directory.setToken(successor.sha256, { rate: rate(2) });
    const { headers } = await get(relay);
    expect([headers.get('ratelimit-policy'), headers.get('ratelimit')]).toEqual([
      '"token";q=2;w=120',
      '"token";r=1;t=60',
    ]);
    expect(await statuses([get(other), get(other, bearer(successor.token))])).toEqual([200, 429]);
    // The app's is untouched.
    expect((await get(relay, keyAndSecret)).headers.get('ratelimit')).toBe('"app";r=2;t=60');
  });

  test('a test token never has more than the installation allows test tokens, nor than its own rate', async () => {
    expect(await statuses([get(relay, bearer(trial.token)), get(other, bearer(trial.token))])).toEqual([200, 200]);
    expect((await get(relay, bearer(trial.token))).status).toBe(429);
    expect((await get(relay)).status).toBe(200);
    await world.directory.setToken(trial.sha256, { environment: 'Test', name: 'larger', rate: rate(100) });
    expect((await get(relay, bearer(trial.token))).headers.get('ratelimit-policy')).toBe('"token";q=2;w=120');
    await world.directory.setToken(trial.sha256, { environment: 'Test', name: 'smaller', rate: rate(1) });
    expect((await get(relay, bearer(trial.token))).headers.get('ratelimit-policy')).toBe('"token";q=1;w=60');
    await world.directory.setApp({ limits: limits(rate(1)) });
    await world.directory.setToken(trial.sha256, { environment: 'Test', name: 'without' });
    expect((await get(relay, bearer(trial.token))).headers.get('ratelimit-policy')).toBe('"token";q=1;w=60');
  });

  test('a change of the rule holds with the next request', async () => {
    await world.directory.setApp({ limits: limits(rate(1)) });
    expect(await statuses([get(relay), get(relay)])).toEqual([200, 429]);
    await world.directory.setApp({ limits: limits(null) });
    expect((await get(relay)).status).toBe(200);
    await world.directory.setApp({ limits: limits({ requestsPerMinute: 600_000, burst: 50 }) });
    expect((await get(relay)).status).toBe(200);
    await world.directory.setApp({ limits: limits(rate(1)) });
    expect(await statuses([get(relay), get(other), get(relay)])).toEqual([200, 429, 429]);
  });

  test('the body of a request that is refused by bearer token is not waited for', async () => {
    await world.directory.setApp({ limits: limits(rate(1)) });
    await get(relay);
    const response = await fetch(`http://127.0.0.1:${relay.port}/api/v1/apps/101/events`, {
      method: 'POST',
      headers: bearer(),
      body: new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode('{')) }),
      duplex: 'half',
    });
    expect(response.status).toBe(429);
  });

  test('many at once over both replicas: exactly as many as the burst', async () => {
    await world.directory.setApp({ limits: limits(rate(30)) });
    const all = await statuses(Array.from({ length: 80 }, (_, at) => get(at % 2 === 0 ? relay : other)));
    expect(all.filter((status) => status === 200)).toHaveLength(30);
    expect(all.filter((status) => status === 429)).toHaveLength(50);
  });
});

describe('connects', () => {
  test('beyond the rate they are sent to back off with 4100, on every replica; requests have their own budget', async () => {
    await world.directory.setApp({ limits: limits(rate(2)) });
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(other.port);
    for (const at of [relay, other, relay]) {
      await using late = connectTo(at);
      expect(await late.closed()).toBe(4100);
      expect(late.received).toMatchObject([{ event: 'pusher:error', data: { code: 4100 } }]);
    }
    expect([one.closeCode, two.closeCode]).toEqual([undefined, undefined]);
    expect((await get(relay)).headers.get('ratelimit')).toBe('"app";r=1;t=60');
  });

  test('what is refused for another reason uses nothing up', async () => {
    await world.directory.setApp({ limits: limits(rate(1)) });
    for (const query of ['protocol=3', '']) {
      await using odd = new TestClient(`ws://127.0.0.1:${relay.port}/app/appkey?${query}`);
      await odd.closed();
    }
    await using one = await TestClient.connected(relay.port);
    expect(one.closeCode).toBeUndefined();
  });

  test('a rule that comes later closes nobody who is connected', async () => {
    await using one = await TestClient.connected(relay.port);
    await using two = await TestClient.connected(relay.port);
    await world.directory.setApp({ limits: limits(rate(1)) });
    await one.subscribe('private-a');
    expect([one.closeCode, two.closeCode]).toEqual([undefined, undefined]);
  });
});

test('the store is away: still limited, not blocked', async () => {
  await world.directory.setApp({ limits: limits(rate(5)) });
  world.rates.goAway();
  const all = await statuses(Array.from({ length: 20 }, () => get(relay)));
  expect([all.filter((status) => status === 200).length, all.filter((status) => status === 429).length]).toEqual([
    5, 15,
  ]);
  expect((await get(relay)).headers.get('retry-after')).not.toBeNull();
  const metrics = await (await fetch(`http://127.0.0.1:${relay.metricsPort}/metrics`)).text();
  expect(metrics).toContain('relay_degraded_total{part="rate"} 21');
});
