import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Rate } from '#crds/rate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { metricsOf, startRelayInstallation, type RelayInstallation, type RelayProcess } from './relay-installation.ts';

// As it is deployed: relay processes, Redis with the documented users, entries from a real publisher.

let installation: RelayInstallation;
let one: RelayProcess;
let two: RelayProcess;
beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  const relays = await installation.relays('relay-1', 'relay-2');
  [one, two] = [relays[0] ?? expect.fail(), relays[1] ?? expect.fail()];
});
afterAll(() => installation[Symbol.asyncDispose]());

const slow = (burst: number): Rate => ({ requestsPerMinute: 1, burst });
const request = async ({ port }: RelayProcess, appId: string): Promise<number> => {
  const headers = { 'x-relay-key': `${appId}key`, 'x-relay-secret': `${appId}secret` };
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/apps/${appId}/channels`, { headers });
  await response.arrayBuffer();
  return response.status;
};
const admitted = async (appId: string, count: number): Promise<number> => {
  const turns = Array.from({ length: count }, (_, turn) => request(turn % 2 === 0 ? one : two, appId));
  return (await Promise.all(turns)).filter((status) => status === 200).length;
};

test('one budget over both processes', async () => {
  await installation.app({ appId: '11', limits: { rate: slow(40) } });
  expect(await admitted('11', 100)).toBe(40);
  expect(await Promise.all([request(one, '11'), request(two, '11')])).toEqual([429, 429]);
});

test('a replica that goes hands back what it has taken ahead', async () => {
  await installation.app({ appId: '12', limits: { rate: slow(40) } });
  const third = await installation.launch('relay-3');
  await installation.ready(third);
  // A pace at which it takes ahead.
  for (let turn = 0; turn < 10; turn += 1) expect(await request(third, '12')).toBe(200);
  await third[Symbol.asyncDispose]();
  expect(await admitted('12', 100)).toBe(30);
});

test('Redis gone: each goes on with its share, so that requests are still limited and not blocked; back again: one budget', async () => {
  await installation.app({ appId: '13', limits: { rate: slow(20) } });
  await installation.app({ appId: '14', limits: { rate: { requestsPerMinute: 600_000, burst: 10_000 } } });
  await eventually(async () => {
    await admitted('14', 2);
    const metrics = await Promise.all([one, two].map(metricsOf));
    return metrics.every((text) => /^relay_known_replicas 2$/m.test(text));
  });
  expect(await admitted('13', 2)).toBe(2);
  await installation.redis.kill9();
  const alone = await admitted('13', 100);
  expect(alone).toBeGreaterThan(0);
  // A share each of what they knew to be left.
  expect(alone).toBeLessThanOrEqual(20);
  expect(await admitted('13', 100)).toBe(0);
  await installation.redis.start();
  // Alone it would give no more than its share.
  let attempt = 0;
  await eventually(async () => {
    attempt += 1;
    const appId = `20${attempt}`;
    await installation.app({ appId, limits: { rate: slow(20) } });
    const answers = await Promise.all(Array.from({ length: 40 }, () => request(one, appId)));
    expect(answers.filter((status) => status === 200)).toHaveLength(20);
    return true;
  });
  expect(await request(two, `20${attempt}`)).toBe(429);
});
