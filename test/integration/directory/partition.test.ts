import { expect, test } from 'vitest';
import { monotonicClock } from '#operator/directory/clock.ts';
import { eventually } from '#test/parts/eventually.ts';
import { migratedDatabase } from '#test/parts/migrated-database.ts';
import { startRedis } from '#test/parts/redis.ts';
import { startTcpProxy } from '#test/parts/tcp-proxy.ts';
import { revokeChange, startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

test('a relay that is cut off keeps serving, and is named until it has caught up', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using proxy = await startTcpProxy({ port: redis.port });
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using near = await startRelay(redis.url, 'near');
  await using far = await startRelay(`redis://127.0.0.1:${proxy.port}`, 'far');
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  proxy.hold();
  const revoked = await operator.publish(revokeChange('a'));
  await eventually(() => operator.enforced(revoked).reason === 'ReplicaUnreachable', { timeout: 15_000 });
  expect(operator.enforced(revoked)).toMatchObject({ status: 'Unknown', message: expect.stringContaining('far') });
  expect(near.follower.tokenByHash(tokenHash('a'))).toBeUndefined();
  expect(far.follower.ready()).toBe(true);
  expect(far.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');
  proxy.pass();
  await operator.enforcedByAll(revoked);
  expect(far.follower.tokenByHash(tokenHash('a'))).toBeUndefined();
});

test('with a fence it accepts nothing once it no longer counts, and comes back only by a new admission', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using proxy = await startTcpProxy({ port: redis.port });
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using _near = await startRelay(redis.url, 'near');
  await using far = await startRelay(`redis://127.0.0.1:${proxy.port}`, 'far', { fenceAfterMs: 3_000 });
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  await eventually(() => far.follower.ready());
  let servedAfterTrue = false;
  let told = 0;
  far.follower.onStateChange(() => {
    if (far.follower.fenced()) told += 1;
  });
  proxy.hold();
  const revoked = await operator.publish(revokeChange('a'));
  const watch = setInterval(() => {
    const isTrue = operator.enforced(revoked).status === 'True';
    const accepts = far.follower.ready() && far.follower.tokenByHash(tokenHash('a')) !== undefined;
    if (isTrue && accepts) servedAfterTrue = true;
  }, 2);
  await eventually(() => far.follower.fenced(), { timeout: 8_000 });
  await eventually(() => told === 1);
  await operator.enforcedByAll(revoked, 25_000);
  expect(far.follower.fenced()).toBe(true);
  proxy.pass();
  await eventually(() => far.follower.ready() && !far.follower.fenced(), { timeout: 20_000 });
  await eventually(() => operator.enforcement.view().members.length === 2);
  clearInterval(watch);
  expect(servedAfterTrue).toBe(false);
  expect(far.follower.tokenByHash(tokenHash('a'))).toBeUndefined();
});

test.for([-3_600_000, 3_600_000])('a clock that is off by %i ms changes nothing', async (offset) => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  const clock = { ...monotonicClock, monotonic: () => monotonicClock.monotonic() + offset };
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using relay = await startRelay(redis.url, 'relay', { clock, fenceAfterMs: 5_000 });
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  await eventually(() => relay.follower.ready());
  expect(relay.follower.fenced()).toBe(false);
});

test('without an operator a relay waits for its admission, then serves and says so', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  {
    await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
    const revision = await operator.publish(tokenChange('a'));
    await eventually(() => operator.enforced(revision).reason === 'NoReplicas');
  }
  await using relay = await startRelay(redis.url, 'relay', { admitTimeoutMs: 1_500 });
  await eventually(() => relay.follower.tokenByHash(tokenHash('a')));
  expect(relay.follower.ready()).toBe(false);
  await eventually(() => relay.follower.ready());
  expect(relay.follower.admitted()).toBe(false);
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await eventually(() => relay.follower.admitted());
  await operator.enforcedByAll(await operator.publish(tokenChange('b')));
});
