import { expect, test } from 'vitest';
import { NotLeadingError } from '#operator/directory/errors.ts';
import { firstBrokenAudit } from '#operator/postgres/audit.ts';
import { migrate, NewerDatabaseError, readMigrations } from '#operator/postgres/migrate.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { createDatabase } from '#test/parts/postgres-database.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startRedis } from '#test/parts/redis.ts';
import { startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

test('two transactions held open and committed in reverse both arrive, in the order of their commits', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using relay = await startRelay(redis.url, 'relay');
  await eventually(() => operator.publisher.term() !== undefined);
  const early = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const first = operator.commit.commit(async (tx) => {
    await tx.query('SELECT 1');
    begun.resolve();
    await early.promise;
    return { result: undefined, changes: [tokenChange('first')], audit: [] };
  });
  await begun.promise;
  const second = await operator.commit.commit(async () => ({
    result: undefined,
    changes: [tokenChange('second')],
    audit: [],
  }));
  early.resolve();
  const { revision } = await first;
  expect(revision).toBeGreaterThan(second.revision ?? 0);
  await operator.enforcedByAll(revision ?? 0);
  expect(relay.follower.tokenByHash(tokenHash('first'))?.name).toBe('first');
  expect(relay.follower.tokenByHash(tokenHash('second'))?.name).toBe('second');
});

test('a transaction that has its revision and rolls back leaves no gap', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  const before = await operator.publish(tokenChange('a'));
  await eventually(() => operator.enforced(before).reason === 'NoReplicas');
  const settled = await operator.publish(tokenChange('a'));
  await expect(
    operator.commit.commit(async () => ({
      result: undefined,
      changes: [tokenChange('b')],
      audit: [],
      stamp: async () => {
        throw new Error('the stamp failed');
      },
    })),
  ).rejects.toThrow('the stamp failed');
  expect(await operator.publish(tokenChange('c'))).toBe(settled + 1);
});

test('a deposed leader writes nothing, changes or not', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using old = await startOperator({ postgresUrl: database.url, redisUrl: redis.url }, { beatMs: 60_000 });
  await eventually(() => old.publisher.term() !== undefined);
  await using next = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await eventually(() => next.publisher.term() !== undefined);
  for (const changes of [[tokenChange('x')], []]) {
    await expect(old.commit.commit(async () => ({ result: 0, changes, audit: [] }))).rejects.toThrow(NotLeadingError);
  }
});

test('two operators that start at once migrate once; a newer database is refused', async () => {
  await using database = await createDatabase();
  await using one = disposablePool(database.url);
  await using two = disposablePool(database.url);
  const migrations = await readMigrations();
  const applied = await Promise.all([migrate(one.pool, migrations), migrate(two.pool, migrations)]);
  expect(applied.flat().sort((a, b) => a - b)).toEqual(migrations.map(({ number }) => number));
  await expect(migrate(one.pool, migrations.slice(0, -1))).rejects.toThrow(NewerDatabaseError);
});

test('a migration that fails leaves nothing behind', async () => {
  await using database = await createDatabase();
  await using one = disposablePool(database.url);
  const broken = [{ number: 1, name: 'broken', sql: 'CREATE TABLE half (id int); SELECT 1 / 0' }];
  await expect(migrate(one.pool, broken)).rejects.toThrow('division by zero');
  await expect(one.pool.query('SELECT FROM half')).rejects.toThrow('does not exist');
  expect(await migrate(one.pool, await readMigrations())).toContain(1);
});

test('the audit chain is append-only and shows an edit', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  await using own = disposablePool(database.url);
  await eventually(() => operator.publisher.term() !== undefined);
  const audit = [
    { actor: 'alice', action: 'create', object: 'RelayApp shop/checkout', detail: { z: 1, a: { d: [1], c: null } } },
    { actor: 'bob', action: 'revoke', object: 'RelayToken shop/t', detail: {} },
  ];
  await Promise.all(
    [1, 2, 3].map(() => operator.commit.commit(async () => ({ result: undefined, changes: [], audit }))),
  );
  expect(await firstBrokenAudit(own.pool)).toBeUndefined();
  for (const sql of [`UPDATE audit SET actor = 'eve'`, 'DELETE FROM audit', 'TRUNCATE audit']) {
    await expect(own.pool.query(sql)).rejects.toThrow('append-only');
  }
  await own.pool.query(`ALTER TABLE audit DISABLE TRIGGER USER`);
  await own.pool.query(`UPDATE audit SET actor = 'eve' WHERE id = 4`);
  expect(await firstBrokenAudit(own.pool)).toBe(4);
});
