import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { migratedDatabase } from '#test/parts/migrated-database.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { revokeChange, startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

test('a change reaches the relays and comes back as Enforced, with no more rights in Redis than documented', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis({ acl: await documentedUsers() });
  await using operator = await startOperator({
    postgresUrl: database.url,
    redisUrl: withUser(redis.url, 'relay-operator'),
  });
  const first = await operator.publish(tokenChange('a'));
  await eventually(() => operator.enforced(first).reason === 'NoReplicas', { describe: 'published, nobody listens' });
  await using one = await startRelay(withUser(redis.url, 'relay'), 'one');
  await using two = await startRelay(withUser(redis.url, 'relay'), 'two');
  await operator.enforcedByAll(first);
  await eventually(() => one.follower.ready() && two.follower.ready());
  expect(one.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');

  const revoked = await operator.publish(revokeChange('a'));
  expect(revoked).toBeGreaterThan(first);
  await operator.enforcedByAll(revoked);
  expect(two.follower.tokenByHash(tokenHash('a'))).toBeUndefined();
});
