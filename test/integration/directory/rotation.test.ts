import { expect, test } from 'vitest';
import { Keyring } from '#crds/keyring.ts';
import { eventually } from '#test/parts/eventually.ts';
import { migratedDatabase } from '#test/parts/migrated-database.ts';
import { startRedis } from '#test/parts/redis.ts';
import { KEYS, keys, startOperator, startRelay, tokenChange, tokenHash } from './installation.ts';

const NEW = `k2:${Buffer.alloc(32, 9).toString('base64')}`;
const both = Keyring.parse(`${NEW},${KEYS}`);

test('DIRECTORY_KEYS are rotated: signed anew once every relay has the key, and the old one can go', async () => {
  await using database = await migratedDatabase();
  await using redis = await startRedis();
  const signedWith = async (): Promise<unknown> => redis.command('HGET', keys.head, 'keyId');
  {
    await using old = await startRelay(redis.url, 'old');
    {
      await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url });
      await operator.enforcedByAll(await operator.publish(tokenChange('a')));
      await eventually(() => operator.enforcement.view().members.length === 1);
    }
    await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url }, { keyring: both });
    await using relay = await startRelay(redis.url, 'new', { keyring: both });
    await operator.enforcedByAll(await operator.publish(tokenChange('b')));
    // A relay without the new key counts: what it cannot read is not written.
    expect(await signedWith()).toBe('k1');
    await eventually(() => old.follower.ready() && relay.follower.ready());
    await old.follower.bye();
    await eventually(async () => (await signedWith()) === 'k2');
    await operator.enforcedByAll(await operator.publish(tokenChange('c')));
    expect(relay.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');
  }
  const only = Keyring.parse(NEW);
  await using operator = await startOperator({ postgresUrl: database.url, redisUrl: redis.url }, { keyring: only });
  await using relay = await startRelay(redis.url, 'last', { keyring: only });
  await operator.enforcedByAll(await operator.publish(tokenChange('d')));
  expect(relay.follower.tokenByHash(tokenHash('a'))?.name).toBe('a');
});
