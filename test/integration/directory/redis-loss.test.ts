import { expect, test } from 'vitest';
import { EvictionPolicyError, refuseEviction } from '#operator/redis/eviction-policy.ts';
import { connectRedis, whenReady } from '#operator/redis/connection.ts';
import { eventually } from '#test/parts/eventually.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { startRedis } from '#test/parts/redis.ts';
import { startReplicaSet } from '#test/parts/redis-topologies.ts';
import { keys, revokeChange, silentLog, startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

test.for(['FLUSHALL', 'the head is evicted', 'an entry is evicted', 'the log is evicted'])(
  'Redis loses what it holds (%s): no relay forgets, and everything is there again',
  async (loss) => {
    await using database = await migratedDatabase();
    await using redis = await startRedis();
    await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
    await using relay = await startRelay(redis.url, 'relay');
    const revision = await operator.publish(tokenChange('a'), tokenChange('b'));
    await operator.enforcedByAll(revision);
    const { epoch } = relay.follower.position();
    let forgot = 0;
    const watch = setInterval(() => {
      if (relay.follower.tokenByHash(tokenHash('a')) === undefined || !relay.follower.ready()) forgot += 1;
    }, 5);
    if (loss === 'FLUSHALL') await redis.command('FLUSHALL');
    else if (loss === 'the head is evicted') await redis.command('DEL', keys.head);
    else if (loss === 'an entry is evicted')
      await redis.command('HDEL', keys.snapshot(epoch), `token/${tokenHash('a')}`);
    else await redis.command('DEL', keys.log(epoch));
    const revoked = await operator.publish(revokeChange('b'));
    await operator.enforcedByAll(revoked);
    expect(relay.follower.tokenByHash(tokenHash('b'))).toBeUndefined();
    if (loss !== 'the log is evicted') await eventually(() => relay.follower.position().epoch > epoch);
    await using fresh = await startRelay(redis.url, 'fresh');
    await eventually(() => fresh.follower.ready());
    expect(fresh.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');
    clearInterval(watch);
    expect(forgot).toBe(0);
  },
);

test('FLUSHALL again and again while it is rebuilt', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url }, { reportWaitMs: 100 });
  await using relay = await startRelay(redis.url, 'relay');
  const changes = Array.from({ length: 2_000 }, (_, index) => tokenChange(`t${index}`));
  await operator.enforcedByAll(await operator.publish(...changes));
  for (let flush = 0; flush < 20; flush += 1) {
    await redis.command('FLUSHALL');
    // A rebuild fills in pieces: the next flush comes between them.
    await eventually(async () => (await redis.command('DBSIZE')) !== 0, { interval: 1 });
  }
  const revision = await operator.publish(tokenChange('after'));
  await operator.enforcedByAll(revision);
  expect(relay.follower.tokenByHash(tokenHash('t1999'))?.name).toBe('t1999');
});

test('a promoted replica lacks the tail: published again within 5 s, the same bytes, without a new change', async () => {
  await using database = await migratedDatabase();
  await using set = await startReplicaSet();
  const { primary, replica } = set;
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: primary.url });
  await using relay = await startRelay(primary.url, 'relay');
  await using own = disposablePool(database.url);
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  const { epoch } = relay.follower.position();
  const kept = Number(await primary.command('HGET', keys.head, 'revision'));
  await eventually(async () => Number(await replica.command('HGET', keys.head, 'revision')) === kept);
  await set.promote(); // Cuts the link.
  const lost = await operator.publish(revokeChange('a'));
  await operator.enforcedByAll(lost);
  // The address now leads to what the replica has.
  await primary.kill9();
  await primary.start();
  await primary.command('REPLICAOF', replica.host, replica.port);
  await eventually(async () => String(await primary.command('INFO', 'replication')).includes('master_link_status:up'));
  await primary.command('REPLICAOF', 'NO', 'ONE');
  await eventually(async () => Number(await primary.command('HGET', keys.head, 'revision')) === lost, {
    timeout: 5_000,
    describe: 'the lost revision is published again',
  });
  expect(relay.follower.position()).toEqual({ epoch, revision: lost });
  const { rows } = await own.pool.query<{ text: string }>('SELECT log_entry AS text FROM outbox WHERE revision = $1', [
    lost,
  ]);
  expect(await primary.command('XRANGE', keys.log(epoch), `${lost}-0`, '+')).toEqual([
    [`${lost}-0`, ['entry', rows[0]?.text]],
  ]);
  await using fresh = await startRelay(primary.url, 'fresh');
  await operator.enforcedByAll(lost);
  await eventually(() => fresh.follower.ready());
  expect(fresh.follower.tokenByHash(tokenHash('a'))).toBeUndefined();
});

test('a PostgreSQL that was restored to an earlier state is a new epoch, and no relay goes back', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using relay = await startRelay(redis.url, 'relay');
  await using own = disposablePool(database.url);
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  const kept = (await own.pool.query('SELECT revision, digest, count FROM directory')).rows[0];
  const later = await operator.publish(tokenChange('b'));
  await operator.enforcedByAll(later);
  const { epoch } = relay.follower.position();
  await own.pool.query('DELETE FROM entry WHERE revision = $1', [later]);
  await own.pool.query('DELETE FROM outbox WHERE revision = $1', [later]);
  await own.pool.query('UPDATE directory SET revision = $1, digest = $2, count = $3', [
    kept.revision,
    kept.digest,
    kept.count,
  ]);
  await eventually(() => relay.follower.position().epoch > epoch, { timeout: 20_000 });
  expect(relay.follower.position().revision).toBeGreaterThan(later);
  expect(relay.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');
  expect(relay.follower.tokenByHash(tokenHash('b'))).toBeUndefined();
});

test('allkeys-* eviction is refused with what to set', async () => {
  await using redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  const connection = connectRedis({ url: redis.url, log: silentLog(), name: 'test' });
  await whenReady(connection, AbortSignal.timeout(5_000));
  await expect(refuseEviction(connection)).rejects.toThrow(EvictionPolicyError);
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  await refuseEviction(connection);
  connection.disconnect();
});
