import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { migratedDatabase } from '#test/parts/migrated-database.ts';
import { startCluster, startSentinel } from '#test/parts/redis-topologies.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { keys, startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

test('Redis Cluster: the slot moves to another primary under load', async () => {
  await using database = await migratedDatabase();
  await using cluster = await startCluster({ acl: await documentedUsers() });
  const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const url = `redis+cluster://${hosts}`;
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: withUser(url, 'relay-operator') });
  await using relay = await startRelay(withUser(url, 'relay'), 'relay');
  await operator.enforcedByAll(await operator.publish(tokenChange('t0')));
  const { epoch } = relay.follower.position();
  let last = 0;
  let published = 0;
  const moved = new AbortController();
  const load = (async () => {
    while (!moved.signal.aborted || published < 50) {
      published += 1;
      last = await operator.publish(tokenChange(`t${published % 20}`, `id${published}`));
    }
  })();
  const before = await cluster.ownerOf(keys.head);
  const after = await cluster.moveSlot(keys.head);
  const back = await cluster.moveSlot(keys.head);
  moved.abort();
  await load;
  expect(new Set([before, after, back]).size).toBe(3);
  await operator.enforcedByAll(last, 30_000);
  expect(relay.follower.tokenByHash(tokenHash(`t${published % 20}`))?.id).toBe(`id${published}`);
  expect(relay.follower.position().epoch).toBeGreaterThanOrEqual(epoch);
  await using fresh = await startRelay(withUser(url, 'relay'), 'fresh');
  await eventually(() => fresh.follower.ready());
  expect(fresh.follower.position().revision).toBe(last);
});

test('Sentinel: the primary dies, and what is published meanwhile arrives', async () => {
  await using database = await migratedDatabase();
  await using set = await startSentinel();
  const url = `redis+sentinel://${set.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${set.name}`;
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: url });
  await using relay = await startRelay(url, 'relay');
  await operator.enforcedByAll(await operator.publish(tokenChange('a')));
  await set.primary.kill9();
  const during = await operator.publish(tokenChange('b'));
  expect(relay.follower.ready()).toBe(true);
  await eventually(async () => (await set.primaryPort()) === set.replica.port, { timeout: 30_000 });
  await operator.enforcedByAll(during, 30_000);
  expect(relay.follower.tokenByHash(tokenHash('b'))?.name).toBe('b');
  const later = await operator.publish(tokenChange('c'));
  await operator.enforcedByAll(later, 30_000);
});
