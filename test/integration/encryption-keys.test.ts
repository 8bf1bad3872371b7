import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Keyring, Secret } from '#crds/keyring.ts';
import { reseal, type ResealOptions } from '#operator/encryption/reseal.ts';
import type { SealedSecrets } from '#operator/encryption/sealed-secrets.ts';
import { createSealedSecrets } from '#operator/postgres/sealed-secrets.ts';
import type { WebhookHeaders } from '#operator/registry/app-registry.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { eventually } from '#test/parts/eventually.ts';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { registryDatabase, type Leader, type RegistryDatabase } from '#test/parts/registry-database.ts';

// ENCRYPTION_KEYS are rotated: what an old key has encrypted is encrypted with the new one, and the old one can go.

const [OLD, NEW] = ['old', 'new'].map((id) => `${id}:${randomBytes(32).toString('base64')}`) as [string, string];
const [BILLING, AUDIT] = ['{"authorization":"Bearer one"}', '{"x-audit":"two"}'] as const;
const HEADERS: WebhookHeaders = new Map([
  ['billing', new Secret(BILLING)],
  ['audit', new Secret(AUDIT)],
]);

let database: RegistryDatabase;
let lines: object[];

beforeEach(async () => {
  database = await registryDatabase();
  lines = [];
});
afterEach(() => database[Symbol.asyncDispose]());

const lead = (keys: string): Promise<Leader> => database.lead({ now: Date.now, encryption: Keyring.parse(keys) });
const register = ({ registry }: Leader, name: string): Promise<void> =>
  registry.registerApp({ namespace: 'shop', name, uid: name }, DEFAULT_POLICY, HEADERS);
/** Of an app, opened. */
const secretsOf = async ({ registry }: Leader, name: string): Promise<string[]> => {
  const row = await registry.findApp({ namespace: 'shop', name }, name);
  const secrets = [...(row?.keys ?? []).map(({ secret }) => secret), ...(row?.webhookHeaders.values() ?? [])];
  return secrets.map((secret) => secret.reveal());
};
/** Everything in the database but sealed texts and the term. */
const everythingElse = (): Promise<unknown> =>
  Promise.all([
    database.query(`SELECT to_jsonb(app) - 'webhook_headers' FROM app ORDER BY app_id`),
    database.query(`SELECT to_jsonb(app_key) - 'secret' FROM app_key ORDER BY app_id, id`),
    database.query(`SELECT to_jsonb(directory) - 'term' FROM directory`),
    database.query('SELECT * FROM entry ORDER BY key'),
    database.query('SELECT * FROM outbox ORDER BY revision'),
    database.query('SELECT * FROM audit ORDER BY id'),
  ]);
const run = async (
  { term, rings }: Leader,
  options: Partial<Pick<ResealOptions, 'secrets' | 'clock' | 'term'>> = {},
): Promise<void> => {
  const log = pino(
    { base: null, timestamp: false },
    { write: (line: string) => void lines.push(JSON.parse(line) as object) },
  );
  const secrets = createSealedSecrets({ pool: database.pool, rings });
  const defaults = { secrets, encryption: rings.encryption, term: () => term, clock: new FakeClock(), log };
  await reseal({ ...defaults, ...options }, new AbortController().signal);
};

test('with a new first key everything is encrypted anew, nothing else changes, and the old key can go', async () => {
  const before = await lead(OLD);
  await register(before, 'checkout');
  const [secrets, others] = [await secretsOf(before, 'checkout'), await everythingElse()];
  expect(secrets).toEqual([expect.stringMatching(/^[0-9a-z]{40}$/), AUDIT, BILLING]);

  const both = await lead(`${NEW},${OLD}`);
  await run(both);
  expect(lines).toEqual([
    {
      level: 30,
      key: 'new',
      sealed: 3,
      msg: 'every secret in the database is encrypted with the first key of ENCRYPTION_KEYS: the others can go',
    },
  ]);
  expect(await everythingElse()).toEqual(others);
  const after = await lead(NEW);
  expect(await secretsOf(after, 'checkout')).toEqual(secrets);
  await run(after);
  expect(lines, 'with one key there is nothing to say').toHaveLength(1);
});

test('more than are read at once are encrypted anew; what is damaged stays as it is, and is told', async () => {
  const before = await lead(OLD);
  const names = Array.from({ length: 401 }, (_, n) => `app-${n}`);
  for (const name of names) await register(before, name);
  await database.query(`UPDATE app_key SET secret = 'v1.old.AAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAA'
     WHERE app_id = (SELECT app_id FROM app WHERE name = 'app-7')`);
  await run(await lead(`${NEW},${OLD}`));
  expect(lines).toEqual([
    { level: 40, secrets: { old: 1 }, msg: 'secrets in the database do not open with the key that they name' },
  ]);
  const after = await lead(NEW);
  for (const name of names) {
    if (name === 'app-7') await expect(secretsOf(after, name)).rejects.toThrow('sealed with key old');
    else expect(await secretsOf(after, name)).toHaveLength(3);
  }
});

test('a key that was taken away too early is named', async () => {
  await register(await lead(OLD), 'checkout');
  await run(await lead(NEW));
  expect(lines).toEqual([
    {
      level: 40,
      secrets: { old: 3 },
      msg: 'secrets in the database are encrypted with old: put it back into ENCRYPTION_KEYS, behind the first key',
    },
  ]);
});

test('who does not lead any more writes nothing', async () => {
  await register(await lead(OLD), 'checkout');
  const deposed = await lead(`${NEW},${OLD}`);
  const newest = await lead(OLD);
  await run(deposed);
  expect(await secretsOf(newest, 'checkout')).toHaveLength(3);
});

test('what is written between reading and writing is not written over', async () => {
  await register(await lead(OLD), 'checkout');
  const both = await lead(`${NEW},${OLD}`);
  const writer = await database.pool.connect();
  await writer.query('BEGIN');
  await writer.query(`UPDATE app SET webhook_headers = webhook_headers - 'audit'`);
  const running = run(both);
  await eventually(async () => (await database.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0, {
    describe: 'the headers, as they were read, wait for the writer',
  });
  await writer.query('COMMIT');
  writer.release();
  await running;
  expect(await secretsOf(both, 'checkout')).toEqual([expect.any(String), BILLING]);
  expect(lines).toMatchObject([{ level: 40, secrets: { old: 1 } }]);
});

test('PostgreSQL that is away is waited for, and so is the lead', async () => {
  await register(await lead(OLD), 'checkout');
  const both = await lead(`${NEW},${OLD}`);
  const real = createSealedSecrets({ pool: database.pool, rings: both.rings });
  let [asked, tried] = [0, 0];
  const term = (): number | undefined => ((asked += 1) === 1 ? undefined : both.term);
  const sealAnew: SealedSecrets['sealAnew'] = async (...from) => {
    if ((tried += 1) === 1) throw new Error('connection refused');
    return real.sealAnew(...from);
  };
  const clock = new FakeClock();
  const running = run(both, { secrets: { ...real, sealAnew }, clock, term });
  for (let slept = 0; slept < 2; slept += 1) {
    await eventually(() => clock.sleeping === 1);
    await clock.advance(5_000);
  }
  await running;
  expect(lines).toMatchObject([
    { level: 40, msg: expect.stringContaining('trying again') },
    { level: 30, sealed: 3 },
  ]);
});
