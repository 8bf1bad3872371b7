import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { serverSdk } from '../sdks.ts';
import { TestClient } from '../test-client.ts';
import { ApiReplicas, refused } from './api-replicas.ts';

// What an app has used, over both replicas.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

type Points = { complete: boolean; points: Record<string, number | string>[] };
const now = (): Promise<Points> => api.call('GET', '/analytics?granularity=day').then(({ json }) => json as Points);

test('connections, messages and calls of both replicas', async () => {
  await using one = await TestClient.connected(api.relay.port);
  await using beside = await TestClient.connected(api.relay.port);
  {
    await using two = await TestClient.connected(api.other.port);
    await Promise.all([one, beside, two].map((client) => client.subscribe('orders')));
    await serverSdk(api.relay.port).trigger('orders', 'x', '');
    await Promise.all([one, beside, two].map((client) => client.event('x')));
  }
  // The other replica's numbers arrive with its next write.
  await eventually(
    async () => {
      const { points, complete } = await now();
      expect(complete).toBe(true);
      expect(points).toHaveLength(31);
      expect(points.at(-1)).toMatchObject({
        connections_peak: 3,
        connections_opened: 3,
        messages_in: 3,
        messages_out: 3,
      });
      expect(points.at(-1)?.['api_calls']).toBeGreaterThanOrEqual(2);
      expect(points[0]).toMatchObject({ connections_peak: 0, api_calls: 0 });
      return true;
    },
    { timeout: 15_000 },
  );
});

test.each([
  ['?granularity=year', 'granularity'],
  ['?from=yesterday', 'from'],
  ['?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
  ['?granularity=minute&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z', 'from'],
])('%s: 400 that names it', async (search, name) => {
  const answer = await api.call('GET', `/analytics${search}`);
  expect(answer).toMatchObject(refused(400, 'parameter_invalid'));
  expect(answer.text).toContain(`${name}:`);
});
