import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { factKeys } from '#crds/facts/redis-keys.ts';
import { signReport } from '#crds/facts/report.ts';
import { Keyring } from '#crds/keyring.ts';
import { NotLeadingError } from '#operator/directory/errors.ts';
import type { FactStore } from '#operator/facts/fact-store.ts';
import type { FactStream } from '#operator/facts/fact-stream.ts';
import { purgeCredentialUses } from '#operator/postgres/credential-use.ts';
import { eventually } from '#test/parts/eventually.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { keyring } from '../directory/installation.ts';
import {
  insertApp,
  insertToken,
  startFactOperator,
  startFactRelay,
  startReader,
  type FactOperator,
  type FactRelay,
  type Faults,
} from './fact-world.ts';

// From a relay's memory to a reconciler's question, over real Redis and PostgreSQL, whatever is killed or lost on the way. Long, because it
// goes through every way in which a report is lost, or told twice.

const APP = '480192';
const AT = Date.now() - 60_000;
const curl = { 'user-agent': 'curl/8.5.0' };

let stack: AsyncDisposableStack;
let pool: pg.Pool;
let postgresUrl: string;
let redis: RedisServer;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const database = stack.use(await migratedDatabase());
  postgresUrl = database.url;
  pool = stack.use(disposablePool(database.url)).pool;
  await insertApp(pool, APP);
  redis = stack.use(await startRedis({ acl: await documentedUsers() }));
});
afterEach(() => stack.disposeAsync());

const operate = async (faults: Faults = {}): Promise<FactOperator> =>
  stack.use(await startFactOperator({ postgresUrl, redisUrl: withUser(redis.url, 'relay-operator') }, faults));
const relay = async (id: string, options: Parameters<typeof startFactRelay>[2] = {}): Promise<FactRelay> =>
  stack.use(await startFactRelay(withUser(redis.url, 'relay'), id, options));
const rows = async (sql: string): Promise<Record<string, unknown>[]> => (await pool.query(sql)).rows;
const isKnown = ({ uses }: FactOperator): Promise<unknown> =>
  eventually(() => uses.knownUntil() !== null, { timeout: 20_000, describe: 'what is used is known' });
const isUnknown = ({ uses }: FactOperator): Promise<unknown> =>
  eventually(() => uses.knownUntil() === null, { timeout: 20_000, describe: 'what is used is not known' });
const waiting = async (): Promise<number> => Number(await redis.command('XLEN', factKeys().reports));

test('uses at two relays add up; it is known up to when both have told', async () => {
  const operator = await operate();
  const one = await relay('relay-1');
  const two = await relay('relay-2');
  await isKnown(operator);
  one.tally.request(APP, 'k1', { 'x-pusher-library': 'pusher-http-node 5.3.4' }, AT);
  one.tally.request(APP, 'k1', {}, AT + 1_000);
  two.tally.request(APP, 'k1', curl, AT + 2_000);
  await operator.becomes(APP, { k1: { requests: 3, lastUsedAt: AT + 2_000, client: 'curl 8.5.0' } });
  one.tally.use(APP, 'k2', 'js 8.6.0', 1, AT);
  await operator.becomes(APP, { k1: { requests: 3 }, k2: { requests: 1, lastUsedAt: AT, client: 'js 8.6.0' } });
  expect(await operator.uses.of('another')).toEqual(new Map());
  expect(operator.uses.knownUntil()).toBeGreaterThan(Date.now() - 10_000);
  expect(await operator.metrics()).toMatch(/relay_operator_facts_lag_seconds \d/);
});

test('the same over a Redis Cluster', async () => {
  const cluster = stack.use(await startCluster());
  const redisUrl = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
  const operator = stack.use(await startFactOperator({ postgresUrl, redisUrl }));
  const one = stack.use(await startFactRelay(redisUrl, 'relay-1'));
  const two = stack.use(await startFactRelay(redisUrl, 'relay-2'));
  one.tally.request(APP, 'k1', curl, AT);
  two.tally.request(APP, 'k1', curl, AT);
  await operator.becomes(APP, { k1: { requests: 2 } });
  await isKnown(operator);
});

test('nothing was used: not one transaction, and it is known all the same', async () => {
  const operator = await operate();
  const one = await relay('relay-1', { byHand: true });
  await one.reporter.tell();
  await isKnown(operator);
  expect(operator.commits()).toBe(1);
  const before = await rows('SELECT xmin, * FROM fact_source');
  const since = operator.uses.knownUntil() ?? 0;
  // As if it had told half a minute ago.
  const again = { ...EMPTY, replica: 'relay-1', boot: 'relay-1-1', until: Date.now() };
  const text = signReport(keyring, 'k1', again);
  await redis.command('XADD', factKeys().reports, '*', 'report', text);
  await eventually(() => (operator.uses.knownUntil() ?? 0) > since);
  expect(operator.commits()).toBe(1);
  expect(await rows('SELECT xmin, * FROM fact_source')).toEqual(before);
  expect(await rows('SELECT * FROM credential_use')).toEqual([]);
});

describe('killed while it reads', () => {
  const crashes: [name: string, faults: (dies: () => boolean) => Faults][] = [
    [
      'before the commit',
      (dies) => ({
        store: (store): FactStore => ({
          load: store.load,
          commit: async (change) => {
            if (change.reports.length > 0 && dies()) throw new Error('killed');
            await store.commit(change);
          },
        }),
      }),
    ],
    [
      'after the commit, before it knows',
      (dies) => ({
        store: (store): FactStore => ({
          load: store.load,
          commit: async (change) => {
            await store.commit(change);
            if (change.reports.length > 0 && dies()) throw new Error('killed');
          },
        }),
      }),
    ],
    [
      'after the commit, before the reports are dropped',
      (dies) => ({
        stream: (stream): FactStream => ({
          read: (limit) => stream.read(limit),
          drop: async (ids) => {
            if (dies()) throw new Error('killed');
            await stream.drop(ids);
          },
        }),
      }),
    ],
  ];

  test.each(crashes)('%s: the next reads the same, and it counts once', async (_name, faults) => {
    let left = 3;
    const operator = await operate(
      faults(() => {
        left -= 1;
        return left >= 0;
      }),
    );
    const one = await relay('relay-1');
    for (let times = 1; times <= 5; times += 1) {
      one.tally.request(APP, 'k1', curl, AT + times);
      await operator.becomes(APP, { k1: { requests: times, lastUsedAt: AT + times } });
    }
    expect(left).toBeLessThan(0);
    await eventually(async () => (await waiting()) === 0);
    await isKnown(operator);
  });
});

test('another leader goes on where the first one was, and the first one writes nothing any more', async () => {
  const first = await operate();
  const one = await relay('relay-1');
  one.tally.request(APP, 'k1', curl, AT);
  await first.becomes(APP, { k1: { requests: 1 } });
  const second = await operate();
  await expect(first.directory.stopped).rejects.toThrow(NotLeadingError);
  one.tally.request(APP, 'k1', curl, AT + 1_000);
  await second.becomes(APP, { k1: { requests: 2, lastUsedAt: AT + 1_000 } });
  await isKnown(second);
  await isUnknown(first);
});

test('two that both believe to lead: what each reads counts once', async () => {
  const operator = await operate();
  const other = startReader(operator.directory, { postgresUrl, redisUrl: withUser(redis.url, 'relay-operator') });
  stack.defer(() => other.stop());
  const one = await relay('relay-1');
  for (let times = 1; times <= 20; times += 1) {
    one.tally.request(APP, 'k1', curl, AT + times);
    await one.reporter.tell();
  }
  await operator.becomes(APP, { k1: { lastUsedAt: AT + 20 } });
  expect((await operator.uses.of(APP)).get('k1')?.requests).toBe(20);
});

describe('what is lost is not known to be unused', () => {
  test('FLUSHALL with a report that nobody has read', async () => {
    const operator = await operate();
    const one = await relay('relay-1', { byHand: true });
    await one.reporter.tell();
    await isKnown(operator);
    await operator.stop();
    one.tally.request(APP, 'k1', curl, AT);
    await one.reporter.tell();
    expect(await waiting()).toBe(1);
    await redis.command('FLUSHALL');
    const next = await operate();
    await isKnown(next);
    // Whatever comes next says that something is missing.
    one.tally.request(APP, 'k2', curl, AT);
    await one.reporter.tell();
    await next.becomes(APP, { k2: { requests: 1 } });
    await isUnknown(next);
    expect(await next.metrics()).toContain('relay_operator_fact_gaps_total{reason="missing"} 1');
    // And a later leader knows it as well.
    const later = await operate();
    await eventually(async () => (await later.metrics()).includes('lag_seconds +Inf') || undefined);
    await later.becomes(APP, { k2: { requests: 1 } });
    expect(later.uses.knownUntil()).toBeNull();
    expect(Number((await rows('SELECT since FROM fact_knowledge'))[0]?.['since'])).toBeGreaterThan(AT);
  });

  test('FLUSHALL with nothing that mattered changes nothing', async () => {
    const operator = await operate();
    const one = await relay('relay-1');
    one.tally.request(APP, 'k1', curl, AT);
    await operator.becomes(APP, { k1: { requests: 1 } });
    await eventually(async () => (await waiting()) === 0);
    await redis.command('FLUSHALL');
    one.tally.request(APP, 'k1', curl, AT + 1_000);
    await operator.becomes(APP, { k1: { requests: 2 } });
    await isKnown(operator);
  });

  test('a relay that is killed, and started again under its name', async () => {
    const operator = await operate();
    const one = await relay('relay-1');
    await isKnown(operator);
    one.tally.request(APP, 'k1', curl, AT);
    await one.crash();
    await relay('relay-1', { boot: 'relay-1-2' });
    await isUnknown(operator);
    expect(await operator.metrics()).toContain('relay_operator_fact_gaps_total{reason="died"} 1');
  });

  test('a relay that ends in peace, and is started again under its name', async () => {
    const operator = await operate();
    const one = await relay('relay-1');
    await isKnown(operator);
    one.tally.request(APP, 'k1', curl, AT);
    await one[Symbol.asyncDispose]();
    await operator.becomes(APP, { k1: { requests: 1 } });
    await relay('relay-1', { boot: 'relay-1-2' });
    await isKnown(operator);
    expect(await operator.metrics()).not.toContain('reason="died"');
  });
});

test('what anybody can write to Redis is refused, and changes nothing that is known', async () => {
  const operator = await operate();
  const one = await relay('relay-1');
  await isKnown(operator);
  const use = { appId: APP, credential: 'k1', at: Date.now(), requests: 1_000, client: null };
  const forged = signReport(Keyring.parse(`k1:${Buffer.alloc(32, 99).toString('base64')}`), 'k1', {
    ...EMPTY,
    replica: 'relay-1',
    seq: 1,
    facts: { credentialUses: [use] },
  });
  for (const text of [forged, 'k9.x.{}', '{}', '']) {
    await redis.command('XADD', factKeys().reports, '*', 'report', text);
  }
  await redis.command('XADD', factKeys().reports, '*', 'something', 'else');
  await eventually(async () => (await operator.metrics()).includes('outcome="malformed"} 3'));
  expect(await operator.metrics()).toContain('outcome="not_authentic"} 1');
  expect(await operator.metrics()).toContain('outcome="unknown_key"} 1');
  one.tally.request(APP, 'k1', curl, AT);
  await operator.becomes(APP, { k1: { requests: 1 } });
  expect(operator.uses.knownUntil()).not.toBeNull();
});

test('only of credentials that there are, and no longer than that', async () => {
  const operator = await operate();
  await insertToken(pool, APP, 'alive');
  await insertToken(pool, APP, 'revoked', 'Revoked');
  await insertApp(pool, '7');
  const one = await relay('relay-1');
  for (const [appId, id] of [
    [APP, 'k1'],
    [APP, 'alive'],
    [APP, 'revoked'],
    [APP, 'nobody'],
    ['7', 'k1'],
    ['8', 'k1'],
  ] as const) {
    one.tally.request(appId, id, curl, AT);
  }
  await operator.becomes(APP, { k1: { requests: 1 }, alive: { requests: 1 } });
  expect([...(await operator.uses.of(APP)).keys()].toSorted()).toEqual(['alive', 'k1']);
  expect([...(await operator.uses.of('7')).keys()]).toEqual(['k1']);

  await pool.query(`UPDATE token SET state = 'Revoked'`);
  await pool.query(`DELETE FROM app WHERE app_id = '7'`);
  expect(await purgeCredentialUses(operator.directory.commit)).toBe(1);
  expect([...(await operator.uses.of(APP)).keys()]).toEqual(['k1']);
  expect(await rows(`SELECT app_id FROM credential_use WHERE app_id = '7'`)).toEqual([]);
});

test('of certificates only those that let somebody in', async () => {
  const operator = await operate();
  const one = await relay('relay-1');
  const states = ['Active', 'Retiring', 'Revoked', 'Ended'] as const;
  const [active, retiring, revoked, ended] = ['a1', 'a2', 'a3', 'a4'].map((byte) => byte.repeat(32)) as [
    string,
    string,
    string,
    string,
  ];
  const fingerprints = [active, retiring, revoked, ended];
  for (const [index, state] of states.entries())
    await pool.query(
      `INSERT INTO certificate (app_id, sha256, installation, namespace, name, object_uid, state, changed_at, created_at)
       VALUES ($1, $2, 'default', 'shop', 'billing', 'uid', $3, now(), now())`,
      [APP, fingerprints[index], state],
    );
  for (const fingerprint of [...fingerprints, 'ff'.repeat(32)]) one.tally.request(APP, fingerprint, curl, AT);
  await operator.becomes(APP, { [active]: { requests: 1 }, [retiring]: { requests: 1, client: 'curl 8.5.0' } });
  expect([...(await operator.uses.of(APP)).keys()].toSorted()).toEqual([active, retiring]);

  await pool.query(`UPDATE certificate SET state = 'Ended' WHERE sha256 = $1`, [active]);
  expect(await purgeCredentialUses(operator.directory.commit)).toBe(1);
  expect([...(await operator.uses.of(APP)).keys()]).toEqual([retiring]);
});

test('a relay whose clock is ahead keeps nothing in use', async () => {
  const operator = await operate();
  const one = await relay('relay-1');
  one.tally.request(APP, 'k1', curl, Date.now() + 3_600_000);
  await operator.becomes(APP, { k1: { requests: 1 } });
  expect((await operator.uses.of(APP)).get('k1')?.lastUsedAt).toBeLessThanOrEqual(Date.now());
});

const EMPTY = { replica: '', boot: 'b', seq: 0, until: 0, last: false, facts: {} };
