import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { startRedis } from '#test/parts/redis.ts';
import { startCluster, startReplicaSet, startSentinel } from '#test/parts/redis-topologies.ts';

test('a server is killed and comes back on its port, empty', async () => {
  await using redis = await startRedis();
  await redis.command('SET', 'a', '1');
  const before = redis.pid;
  await redis.kill9();
  await expect(redis.command('PING')).rejects.toThrow(/ECONNREFUSED|closed/);
  await redis.start();
  expect(redis.pid).not.toBe(before);
  expect(await redis.command('GET', 'a')).toBeNull();
});

test('a frozen server keeps its connections and answers once it is thawed', async () => {
  await using redis = await startRedis({ password: 'p@ss' });
  const client = new Redis(redis.url);
  try {
    await client.ping();
    redis.pause();
    let answered = false;
    const answer = client.ping().then(() => (answered = true));
    expect(answered).toBe(false);
    redis.resume();
    await answer;
  } finally {
    client.disconnect();
  }
});

test('ACL lines limit a user', async () => {
  await using redis = await startRedis({
    acl: ['user default on nopass ~* &* +@all', 'user relay on >secret ~relay:* +@all -@dangerous'],
  });
  const client = new Redis({
    port: redis.port,
    host: redis.host,
    username: 'relay',
    password: 'secret',
    enableReadyCheck: false,
  });
  try {
    expect(await client.set('relay:a', '1')).toBe('OK');
    await expect(client.set('other', '1')).rejects.toThrow(/NOPERM/);
  } finally {
    client.disconnect();
  }
});

test('a replica follows its primary and can be promoted', async () => {
  await using set = await startReplicaSet();
  await set.primary.command('SET', 'a', '1');
  await eventually(async () => (await set.replica.command('GET', 'a')) === '1');
  await expect(set.replica.command('SET', 'a', '2')).rejects.toThrow(/READONLY/);
  await set.primary.kill9();
  await set.promote();
  expect(await set.replica.command('SET', 'a', '2')).toBe('OK');
});

test('sentinels fail over on command, and on their own when the primary dies', async () => {
  await using sentinel = await startSentinel();
  expect(await sentinel.primaryPort()).toBe(sentinel.primary.port);
  await sentinel.failover();
  expect(await sentinel.primaryPort()).toBe(sentinel.replica.port);
  await eventually(async () => String(await sentinel.primary.command('ROLE')).startsWith('slave'), {
    timeout: 30_000,
    describe: 'the old primary follows the new one',
  });
  await sentinel.failover();
  await sentinel.primary.kill9();
  await eventually(async () => (await sentinel.primaryPort()) === sentinel.replica.port, { timeout: 40_000 });
});

test('a slot of the cluster moves with its data', async () => {
  await using cluster = await startCluster();
  const before = await cluster.ownerOf('{a}1');
  await before.command('SET', '{a}1', 'x');
  const after = await cluster.moveSlot('{a}1');
  expect(after.port).not.toBe(before.port);
  expect(await after.command('GET', '{a}1')).toBe('x');
  expect((await cluster.ownerOf('{a}1')).port).toBe(after.port);
  await expect(before.command('GET', '{a}1')).rejects.toThrow(/MOVED/);
});
