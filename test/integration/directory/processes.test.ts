import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { PodLook } from '#operator/directory/pod-look.ts';
import { eventually } from '#test/parts/eventually.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { startProcess } from '#test/parts/process.ts';
import type { RunningProcess } from '#test/parts/process.ts';
import { redisCommand, startRedis } from '#test/parts/redis.ts';
import { keys, startOperator, startRelay, tokenChange } from './installation.ts';

const run = (script: string, ...args: string[]): Promise<RunningProcess> =>
  startProcess({
    command: process.execPath,
    args: [fileURLToPath(new URL(script, import.meta.url)), ...args],
  });

/** Everything that is in the log of an epoch is what PostgreSQL committed, byte for byte. */
async function expectSameBytes(redisUrl: string, postgresUrl: string, epoch: number): Promise<number> {
  await using own = disposablePool(postgresUrl);
  const items = (await redisCommand(redisUrl, 'XRANGE', keys.log(epoch), '-', '+')) as [string, string[]][];
  const { rows } = await own.pool.query<{ revision: number; text: string }>(
    'SELECT revision, log_entry AS text FROM outbox',
  );
  const committed = new Map(rows.map(({ revision, text }) => [`${revision}-0`, text]));
  for (const [id, fields] of items) expect(fields[1]).toBe(committed.get(id));
  return items.length;
}

test('one of two operators is frozen in the midst of publishing, and thawed when the other leads', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using relay = await startRelay(redis.url, 'relay');
  await using one = await run('operator-process.ts', database.url, redis.url, 'one');
  await one.waitForLine(/committed \d+/);
  await eventually(() => relay.follower.position().revision > 0, { timeout: 20_000 });
  // An epoch's log begins where its snapshot was taken, which on a slow machine is later.
  const first = relay.follower.position().revision;
  await eventually(() => relay.follower.position().revision > first + 20, { timeout: 20_000 });
  one.signal('SIGSTOP');
  await using two = await run('operator-process.ts', database.url, redis.url, 'two');
  await two.waitForLine(/^committed \d+/);
  const start = relay.follower.position().revision;
  await eventually(() => relay.follower.position().revision > start + 20, { timeout: 20_000 });
  one.signal('SIGCONT');
  await one.waitForLine(/^stopped: NotLeadingError/);
  expect((await one.exited).code).toBe(3);
  const thawed = relay.follower.position().revision;
  await eventually(() => relay.follower.position().revision > thawed + 20);
  const compared = await expectSameBytes(redis.url, database.url, relay.follower.position().epoch);
  expect(compared).toBeGreaterThan(thawed + 20 - first);
});

test('an operator is killed again and again, and nothing that was committed is lost', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using relay = await startRelay(redis.url, 'relay');
  for (let kill = 0; kill < 5; kill += 1) {
    await using operator = await run('operator-process.ts', database.url, redis.url, `run${kill}`);
    const before = relay.follower.position().revision;
    // At another moment of its work each time.
    await eventually(() => relay.follower.position().revision > before + 3 + kill * 5, {
      timeout: 20_000,
      interval: 1,
    });
    operator.signal('SIGKILL');
    await operator.exited;
  }
  await using last = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  const revision = await last.publish(tokenChange('end'));
  await last.enforcedByAll(revision);
  await expectSameBytes(redis.url, database.url, relay.follower.position().epoch);
});

test('relays come, are killed, say bye, and all go: who counts is who may serve', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  const gone = new Set<string>();
  const podLook: PodLook = { look: async ({ id }) => (gone.has(id) ? 'gone' : 'alive') };
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url }, { podLook });
  const members = (): string[] =>
    operator.enforcement
      .view()
      .members.map(({ id }) => id)
      .sort();
  const first = await operator.publish(tokenChange('a'));
  await eventually(() => operator.enforced(first).reason === 'NoReplicas');
  await using killed = await run('relay-process.ts', redis.url, 'killed');
  await using leaving = await run('relay-process.ts', redis.url, 'leaving');
  await Promise.all([killed, leaving].map((relay) => relay.waitForLine(/^ready/)));
  await operator.enforcedByAll(first);
  expect(members()).toEqual(['killed', 'leaving']);

  // A rolling update: says bye, and is gone at once.
  await leaving.stop();
  await eventually(() => members().length === 1);

  // kill -9: counts until a look says that its pod is gone.
  killed.signal('SIGKILL');
  await killed.exited;
  const second = await operator.publish(tokenChange('b'));
  await eventually(() => operator.enforced(second).reason === 'ReplicaUnreachable', { timeout: 15_000 });
  gone.add('killed');
  await eventually(() => operator.enforced(second).reason === 'NoReplicas', { timeout: 25_000 });

  // A newer boot under the same id takes its place, and the old run is never waited for.
  await using again = await run('relay-process.ts', redis.url, 'again');
  await again.waitForLine(/^ready/);
  again.signal('SIGKILL');
  await again.exited;
  await using reborn = await run('relay-process.ts', redis.url, 'again');
  await reborn.waitForLine(/^ready/);
  await operator.enforcedByAll(second);
  expect(members()).toEqual(['again']);
});

test('a restarted operator still waits for a relay that is cut off, although Redis was flushed', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  await using relay = await run('relay-process.ts', redis.url, 'lost');
  {
    await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
    await operator.enforcedByAll(await operator.publish(tokenChange('a')));
    await eventually(() => operator.enforcement.view().members.length === 1);
  }
  relay.signal('SIGSTOP');
  await redis.command('FLUSHALL');
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
  const revision = await operator.publish(tokenChange('b'));
  await eventually(() => operator.enforced(revision).reason === 'ReplicaUnreachable', { timeout: 20_000 });
  relay.signal('SIGCONT');
  await operator.enforcedByAll(revision);
});
