import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { appEntryBody, tokenEntryBody, type TokenEntryBody } from '#crds/directory/entry-body.ts';
import { readEntry, type EntryPayload } from '#crds/directory/entry.ts';
import { Keyring, Secret } from '#crds/keyring.ts';
import { unseal } from '#crds/sealed.ts';
import { tokenHash } from '#crds/token-format.ts';
import { createDirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createPool } from '#operator/postgres/pool.ts';
import { migrate, readMigrations } from '#operator/postgres/migrate.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import type { StageKey } from '#operator/registry/app-key-registry.ts';
import type { AppPolicy, AppRow, WebhookHeaders } from '#operator/registry/app-registry.ts';
import type { Registry } from '#operator/registry/registry.ts';
import type { Subject } from '#operator/registry/subject.ts';
import type { MintToken, PromoteToken, TokenPolicy } from '#operator/registry/token-registry.ts';
import { createDatabase } from '#test/parts/postgres-database.ts';

// What the port (operator/registry/registry.ts) promises, of the adapter and a real PostgreSQL.
// Long, because it is one contract over one database fixture: split, each half would migrate and seed it again.

const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);
const NOW = Date.parse('2026-05-01T12:00:00Z');
const policy: AppPolicy = {
  enabled: true,
  authentication: { bearer: true, keyAndSecret: true, signature: true },
  access: defaultedAccess(undefined),
  limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10, presenceMembers: 100, rate: null },
  channels: { clientEvents: true, encrypted: true, subscriptionCounts: false, watchlists: false, cacheSeconds: 1_800 },
  webhooks: [],
};
const NONE: WebhookHeaders = new Map();
const EVERYTHING: TokenPolicy = { scopes: null, rate: null };
const LITTLE: TokenPolicy = { scopes: ['channels:read'], rate: { requestsPerMinute: 10, burst: 5 } };
const shop: Subject = { namespace: 'shop', name: 'checkout', uid: 'uid-1' };

type Leader = { readonly registry: Registry; readonly term: number };

describe('the registry in PostgreSQL', () => {
  const encryption = ring('e1');
  const directory = ring('d1');
  let stack: AsyncDisposableStack;
  let pool: pg.Pool;
  let now: number;

  beforeEach(async () => {
    now = NOW;
    stack = new AsyncDisposableStack();
    const database = stack.use(
      await createDatabase({
        template: {
          name: 'registry',
          migrate: async (url) => {
            const migrating = createPool({ url, onConnectionLost: () => {} });
            await migrate(migrating, await readMigrations());
            await migrating.end();
          },
        },
      }),
    );
    pool = createPool({ url: database.url, onConnectionLost: () => {} });
    stack.defer(() => pool.end());
  });

  afterEach(() => stack.disposeAsync());

  /** A new term, and the registry of the operator that leads in it. */
  const lead = async (installation = 'default'): Promise<Leader> => {
    const { term } = await createRegistryLog({ pool, keyring: directory, random: randomBytes }).takeOver();
    const commit = createDirectoryCommit({ pool, keyring: directory, term: () => term, onCommitted: () => {} });
    const rings = { installation, encryption, directory };
    return { registry: createRegistry({ pool, commit, rings, now: () => now }), term };
  };
  /** Of the directory, before a test changes anything: taking over with fresh keys took one. */
  const BASE = 1;
  const query = async (sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> =>
    (await pool.query<Record<string, unknown>>(sql, values)).rows;
  const published = async (): Promise<string[]> =>
    (await query('SELECT key FROM entry ORDER BY key COLLATE "C"')).map(({ key }) => String(key));
  const payloadOf = async (key: string): Promise<EntryPayload> => {
    const [entry] = await query('SELECT text FROM entry WHERE key = $1', key);
    const read = readEntry(directory, String(entry?.['text']));
    if (read.kind !== 'authentic') throw new Error(`${key} is ${read.kind}`);
    return read.entry;
  };
  const everything = async (): Promise<unknown> => ({
    app: await query('SELECT * FROM app ORDER BY app_id'),
    keys: await query('SELECT * FROM app_key ORDER BY app_id, id'),
    token: await query('SELECT * FROM token ORDER BY sha256'),
    entry: await query('SELECT * FROM entry ORDER BY key'),
    outbox: await query('SELECT * FROM outbox ORDER BY revision'),
    audit: await query('SELECT * FROM audit ORDER BY id'),
    directory: await query('SELECT * FROM directory'),
  });
  const found = async (registry: Registry, subject: Subject = shop): Promise<AppRow> => {
    const row = await registry.findApp(subject, subject.uid);
    if (row === undefined) throw new Error('not registered');
    return row;
  };
  const mint = (appId: string, more: Partial<MintToken> = {}): MintToken => ({
    appId,
    environment: 'Live',
    policy: EVERYTHING,
    state: 'Active',
    expiresAt: null,
    at: now,
    rotateRequest: null,
    retire: [],
    revoke: [],
    ...more,
  });
  const end = (expiresAt: number) => ({ expiresAt, graceUntil: null, final: true });
  const promote = (sha256: string, more: Partial<PromoteToken> = {}): PromoteToken => ({
    sha256,
    at: now,
    rotateRequest: null,
    retire: [],
    revoke: [],
    ...more,
  });
  /** Keys and secrets in plain, to compare. */
  const credentials = ({ keys }: AppRow): string[] => keys.map(({ key, secret }) => `${key}:${secret.reveal()}`);

  describe('apps', () => {
    test('register, update, retire: each is one revision, one audit row and what the relays shall hold', async () => {
      const { registry } = await lead();
      expect(await registry.findApp(shop, shop.uid)).toBeUndefined();
      await registry.registerApp(shop, policy, NONE);
      const row = await found(registry);
      expect(row).toMatchObject({ objectUid: 'uid-1', state: 'Active', policy, revision: BASE + 1, changedAt: NOW });
      expect(row.appId).toMatch(/^[1-9][0-9]{9}$/);
      expect(credentials(row)).toEqual([expect.stringMatching(/^[0-9a-z]{20}:[0-9a-z]{40}$/)]);
      expect(await published()).toEqual([`app/${row.appId}`]);

      now += 1_000;
      await registry.updateApp(shop, row.appId, { ...policy, enabled: false }, NONE);
      expect(await found(registry)).toMatchObject({ policy: { enabled: false }, revision: BASE + 2, changedAt: now });
      await registry.retireApp(shop, row.appId, 'Delete');
      expect(await found(registry)).toMatchObject({ state: 'Deleted', revision: BASE + 3 });
      expect(await published()).toEqual([]);
      expect((await query('SELECT action FROM audit ORDER BY id')).map(({ action }) => action)).toEqual([
        'app.register',
        'app.update',
        'app.retire',
      ]);
      expect(await query('SELECT revision FROM outbox ORDER BY revision')).toHaveLength(3);
    });

    test('of two that register one identity at once, one does, and the other is told to look again', async () => {
      const { registry } = await lead();
      const results = await Promise.allSettled([
        registry.registerApp(shop, policy, NONE),
        registry.registerApp(shop, policy, NONE),
      ]);
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { code: 'RegistryConflict' },
      });
      expect(await published()).toHaveLength(1);
    });

    test('Retain comes back by itself, Delete only by its id, each with the keys it had', async () => {
      const { registry } = await lead();
      await registry.registerApp(shop, policy, NONE);
      const first = await found(registry);
      await registry.retireApp(shop, first.appId, 'Delete');
      expect(await registry.findRetiredApp(shop, undefined)).toBeUndefined();
      await registry.registerApp({ ...shop, uid: 'uid-2' }, policy, NONE);
      const second = await found(registry, { ...shop, uid: 'uid-2' });
      now += 1_000;
      await registry.retireApp({ ...shop, uid: 'uid-2' }, second.appId, 'Retain');

      const reborn = { ...shop, uid: 'uid-3' };
      const retained = await registry.findRetiredApp(reborn, undefined);
      expect(retained?.appId).toBe(second.appId);
      const deleted = await registry.findRetiredApp(reborn, first.appId);
      expect(deleted?.appId).toBe(first.appId);
      await registry.takeBackApp(reborn, first.appId, policy, NONE);
      const back = await found(registry, reborn);
      expect(back).toMatchObject({ appId: first.appId, state: 'Active', objectUid: 'uid-3' });
      expect(credentials(back)).toEqual(credentials(first));
      expect(await published()).toEqual([`app/${first.appId}`]);
    });

    test('headers of webhooks: sealed at rest and for the relays, each for its own place; gone with the app, and back with it', async () => {
      const { registry } = await lead();
      const value = 'Bearer header-canary-7f3a';
      const text = JSON.stringify({ Authorization: value });
      const webhook = { url: 'https://example.com', events: ['client_event' as const], channelPrefix: null };
      const declared: AppPolicy = {
        ...policy,
        webhooks: [
          { name: 'bare', ...webhook, batching: false },
          { name: 'signed', ...webhook, batching: true },
        ],
      };
      await registry.registerApp(shop, declared, new Map([['signed', new Secret(text)]]));
      const { appId, policy: stored, webhookHeaders } = await found(registry);
      expect(stored).toEqual(declared);
      expect([...webhookHeaders].map(([name, header]) => [name, header.reveal()])).toEqual([['signed', text]]);
      expect(JSON.stringify(await everything())).not.toContain('header-canary');

      const sealedAtRest = async (): Promise<unknown> => (await query('SELECT webhook_headers FROM app'))[0];
      const atRest = (await sealedAtRest()) as { webhook_headers: { signed: string } };
      const owner = ['default', appId];
      expect(unseal(encryption, owner, 'webhook.signed.headers', atRest.webhook_headers.signed)).toBe(text);
      expect(() => unseal(encryption, owner, 'webhook.bare.headers', atRest.webhook_headers.signed)).toThrow(
        'does not open',
      );
      const body = async () => appEntryBody.parse((await payloadOf(`app/${appId}`)).body);
      const [bare, signed] = (await body()).webhooks;
      expect(bare).toEqual({ ...declared.webhooks[0], headers: null });
      expect(signed).toMatchObject(declared.webhooks[1] ?? {});
      expect(unseal(directory, [appId], 'webhook.signed.headers', signed?.headers ?? '')).toBe(text);

      await registry.updateApp(shop, appId, declared, new Map([['signed', new Secret('{"A":"1"}')]]));
      expect((await found(registry)).revision).toBe(BASE + 2);
      const changed = (await body()).webhooks[1]?.headers ?? '';
      expect(unseal(directory, [appId], 'webhook.signed.headers', changed)).toBe('{"A":"1"}');
      await registry.retireApp(shop, appId, 'Retain');
      expect(await sealedAtRest()).toEqual({ webhook_headers: {} });
      await registry.takeBackApp(shop, appId, declared, new Map([['signed', new Secret(text)]]));
      expect((await found(registry)).webhookHeaders.get('signed')?.reveal()).toBe(text);
    });

    test('a row of the former version, which knew fewer fields, is found, updated and retired like any other', async () => {
      const { registry } = await lead();
      await registry.registerApp(shop, policy, NONE);
      const { appId } = await found(registry);
      const former = {
        enabled: true,
        authentication: policy.authentication,
        limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10 },
        channels: { clientEvents: true },
      };
      await query('UPDATE app SET policy = $1', former);
      expect((await found(registry)).policy).toEqual(former);
      await registry.updateApp(shop, appId, policy, NONE);
      expect((await found(registry)).policy).toEqual(policy);
      await query('UPDATE app SET policy = $1', former);
      await registry.retireApp(shop, appId, 'Retain');
      expect((await registry.findRetiredApp(shop, undefined))?.policy).toEqual(former);
    });

    test('rebind: a rebuilt cluster finds its keys; nothing is published', async () => {
      const { registry } = await lead();
      await registry.registerApp(shop, policy, NONE);
      const before = await found(registry);
      const rebuilt = { ...shop, uid: 'uid-9' };
      await registry.rebindApp(rebuilt, before.appId);
      expect(await found(registry, rebuilt)).toMatchObject({
        appId: before.appId,
        objectUid: 'uid-9',
        revision: BASE + 1,
      });
      expect(await query('SELECT revision FROM outbox')).toHaveLength(1);
    });

    test('purge: what was deleted long enough ago is gone for good with its tokens; Retained and fresh ones stay', async () => {
      const { registry } = await lead();
      const names = ['old', 'kept', 'fresh', 'living'];
      const subjects = names.map((name) => ({ ...shop, name }));
      for (const subject of subjects) await registry.registerApp(subject, policy, NONE);
      const ids = await Promise.all(subjects.map(async (subject) => (await found(registry, subject)).appId));
      const [old = '', kept = '', fresh = '', living = ''] = ids;
      await registry.mintToken({ ...shop, name: 'old' }, mint(old));
      await registry.mintToken({ ...shop, name: 'living' }, mint(living));
      const subjectOf = (name: string): Subject => ({ ...shop, name });
      await registry.retireApp(subjectOf('old'), old, 'Delete');
      await registry.retireApp(subjectOf('kept'), kept, 'Retain');
      now += 8 * 86_400_000;
      await registry.retireApp(subjectOf('fresh'), fresh, 'Delete');
      expect(await registry.purgeApps(now - 7 * 86_400_000)).toEqual([old]);
      expect(await registry.purgeApps(now - 7 * 86_400_000)).toEqual([]);
      expect(await query('SELECT 1 FROM token WHERE app_id = $1', old)).toEqual([]);
      expect((await query('SELECT app_id FROM app')).map(({ app_id }) => String(app_id)).toSorted()).toEqual(
        [kept, fresh, living].toSorted(),
      );
      expect((await published()).filter((key) => key.startsWith('token/'))).toHaveLength(1);
    });
  });

  describe('keys of apps', () => {
    const HOUR = 3_600_000;
    const STAGE: StageKey = { rotates: 'KeyAndSecret', imported: null, reason: 'interval', request: null };
    const TIMES = { overlap: HOUR, deadline: 4 * HOUR };
    const states = ({ keys }: AppRow): string[] => keys.map(({ state }) => state);
    const registered = async (registry: Registry, subject = shop): Promise<string> => {
      await registry.registerApp(subject, policy, NONE);
      return (await found(registry, subject)).appId;
    };
    const bodyOf = async (appId: string) => appEntryBody.parse((await payloadOf(`app/${appId}`)).body);
    const idOf = ({ keys }: AppRow, state: string): string => keys.find((key) => key.state === state)?.id ?? '';

    test('staged, promoted, ended: one revision each, and the relays are told who verifies until when', async () => {
      const { registry } = await lead();
      const appId = await registered(registry);
      const first = await found(registry);
      now += 1_000;
      await registry.stageKey(shop, appId, { ...STAGE, request: 'monday' });
      const staged = await found(registry);
      expect(states(staged)).toEqual(['Active', 'Pending']);
      expect(staged).toMatchObject({ revision: BASE + 2, changedAt: now, rotateRequest: 'monday', rotatedAt: null });
      expect(staged.keys[1]).toMatchObject({ origin: 'Minted', activatedAt: null, retirement: null });
      expect(credentials(staged)[0]).toBe(credentials(first)[0]);
      expect((await bodyOf(appId)).keys).toMatchObject([
        { id: idOf(staged, 'Active'), expiresAt: null, pending: false },
        { id: idOf(staged, 'Pending'), expiresAt: null, pending: true },
      ]);

      now += 1_000;
      await registry.promoteKey(shop, appId, idOf(staged, 'Pending'), TIMES);
      const promoted = await found(registry);
      expect(states(promoted)).toEqual(['Retiring', 'Active']);
      expect(credentials(promoted)).toEqual(credentials(staged));
      expect(promoted).toMatchObject({ revision: BASE + 3, rotatedAt: now });
      expect(promoted.keys).toMatchObject([
        { retirement: { since: now, overlapUntil: now + HOUR, expiresAt: now + 4 * HOUR, inUseTold: false } },
        { activatedAt: now, retirement: null },
      ]);
      expect((await bodyOf(appId)).keys).toMatchObject([
        { expiresAt: now + 4 * HOUR, pending: false },
        { expiresAt: null, pending: false },
      ]);

      const old = idOf(promoted, 'Retiring');
      await registry.setKeyTimes(shop, appId, old, { since: now, overlapUntil: now + 1, expiresAt: now + 2 });
      expect((await bodyOf(appId)).keys[0]?.expiresAt).toBe(now + 2);
      await registry.noteKeyInUse(shop, appId, old);
      expect((await found(registry)).keys[0]?.retirement?.inUseTold).toBe(true);
      expect((await found(registry)).revision).toBe(BASE + 4);
      await registry.endKey(shop, appId, old, true);
      expect(await found(registry)).toMatchObject({ revision: BASE + 5 });
      expect(states(await found(registry))).toEqual(['Active']);
      expect((await bodyOf(appId)).keys).toHaveLength(1);
      expect((await query('SELECT action FROM audit ORDER BY id')).map(({ action }) => action)).toEqual([
        'app.register',
        'key.stage',
        'key.promote',
        'key.set-times',
        'key.in-use',
        'key.end',
      ]);
      const secrets = promoted.keys.map(({ secret }) => secret.reveal());
      for (const secret of secrets) expect(JSON.stringify(await everything())).not.toContain(secret);
    });

    test('one key waits at a time, and each step that was taken already says so quietly', async () => {
      const { registry } = await lead();
      const appId = await registered(registry);
      const results = await Promise.allSettled([
        registry.stageKey(shop, appId, STAGE),
        registry.stageKey(shop, appId, STAGE),
      ]);
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { quiet: true } });
      const staged = await found(registry);
      expect(states(staged)).toEqual(['Active', 'Pending']);
      const pending = idOf(staged, 'Pending');
      await registry.promoteKey(shop, appId, pending, TIMES);
      const before = await everything();
      await expect(registry.promoteKey(shop, appId, pending, TIMES)).rejects.toMatchObject({ quiet: true });
      await expect(registry.endKey(shop, appId, pending, false)).rejects.toMatchObject({ quiet: true });
      await expect(
        registry.setKeyTimes(shop, appId, pending, { since: now, overlapUntil: now, expiresAt: now }),
      ).rejects.toMatchObject({ quiet: true });
      expect(await everything()).toEqual(before);
    });

    test('rotates: Secret keeps the public key, and an app of a leader that was deposed stays as it is', async () => {
      const deposed = await lead();
      const { registry } = await lead();
      const appId = await registered(registry);
      await registry.stageKey(shop, appId, { ...STAGE, rotates: 'Secret' });
      const { keys } = await found(registry);
      expect(keys[1]?.key).toBe(keys[0]?.key);
      expect(keys[1]?.secret.reveal()).not.toBe(keys[0]?.secret.reveal());
      expect((await payloadOf(`app/${appId}`)).crit).toEqual(['sharedKeys']);
      const before = await everything();
      await expect(deposed.registry.promoteKey(shop, appId, keys[1]?.id ?? '', TIMES)).rejects.toMatchObject({
        quiet: true,
      });
      expect(await everything()).toEqual(before);
    });

    test('no object can rotate, promote or end the keys of another one', async () => {
      const { registry } = await lead();
      const appId = await registered(registry);
      await registry.stageKey(shop, appId, STAGE);
      const pending = idOf(await found(registry), 'Pending');
      const before = await everything();
      const stranger = { ...shop, namespace: 'evil' };
      for (const attempt of [
        () => registry.stageKey(stranger, appId, STAGE),
        () => registry.promoteKey(stranger, appId, pending, TIMES),
        () => registry.setKeyTimes(stranger, appId, pending, { since: 0, overlapUntil: 0, expiresAt: 0 }),
        () => registry.endKey(stranger, appId, pending, false),
        () => registry.recordKeyRotationRequest(stranger, appId, 'x'),
      ])
        await expect(attempt()).rejects.toMatchObject({ code: 'NotRegistered' });
      expect(await everything()).toEqual(before);
    });

    test('what is imported is registered as it is, and an id or a public key belongs to one app', async () => {
      const { registry } = await lead();
      const imported = { appId: '480192', key: 'shared-Key', secret: new Secret('s3cr3t!') };
      await registry.registerApp(shop, policy, NONE, { imported, request: 'at first sight' });
      expect(await found(registry)).toMatchObject({ appId: '480192', rotateRequest: 'at first sight' });
      expect(credentials(await found(registry))).toEqual(['shared-Key:s3cr3t!']);
      expect((await found(registry)).keys[0]?.origin).toBe('Imported');

      const other = { namespace: 'shop', name: 'other', uid: 'uid-2' };
      const clash = (appId: string, key: string) => registry.findClash({ ...other, appId }, key);
      expect(await clash('480192', 'free')).toBe('appId');
      expect(await clash('7', 'shared-Key')).toBe('key');
      expect(await clash('7', 'free')).toBeUndefined();
      expect(await registry.findClash({ ...shop, appId: '480192' }, 'shared-Key')).toBeUndefined();
      const before = await everything();
      for (const attempt of [
        () => registry.registerApp(other, policy, NONE, { imported: { ...imported, key: 'free' } }),
        () => registry.registerApp(other, policy, NONE, { imported: { ...imported, appId: '7' } }),
      ])
        await expect(attempt()).rejects.toMatchObject({ code: 'RegistryConflict', quiet: true });
      expect(await everything()).toEqual(before);

      const appId = await registered(registry, other);
      await expect(
        registry.stageKey(other, appId, { ...STAGE, imported: { ...imported, appId }, reason: 'import' }),
      ).rejects.toMatchObject({ code: 'RegistryConflict' });
      // Browsers that were deployed with it still ask for it.
      await registry.stageKey(shop, '480192', STAGE);
      await registry.promoteKey(shop, '480192', idOf(await found(registry), 'Pending'), TIMES);
      await registry.endKey(shop, '480192', idOf(await found(registry), 'Retiring'), false);
      expect(await clash('7', 'shared-Key')).toBe('key');
      await registry.retireApp(shop, '480192', 'Delete');
      now += 8 * 86_400_000;
      await registry.purgeApps(now - 7 * 86_400_000);
      expect(await clash('480192', 'shared-Key')).toBeUndefined();
    });

    test('a retained app takes back all of its keys, and what was asked of it', async () => {
      const { registry } = await lead();
      const appId = await registered(registry);
      await registry.stageKey(shop, appId, { ...STAGE, request: 'monday' });
      await registry.promoteKey(shop, appId, idOf(await found(registry), 'Pending'), TIMES);
      await registry.stageKey(shop, appId, STAGE);
      const before = await found(registry);
      expect(states(before)).toEqual(['Retiring', 'Active', 'Pending']);
      await registry.retireApp(shop, appId, 'Retain');
      const reborn = { ...shop, uid: 'uid-2' };
      await registry.takeBackApp(reborn, appId, policy, NONE);
      const back = await found(registry, reborn);
      expect(back.keys).toEqual(before.keys);
      expect(credentials(back)).toEqual(credentials(before));
      expect(back.rotateRequest).toBe('monday');
      expect((await bodyOf(appId)).keys).toHaveLength(3);
      await registry.rebindApp({ ...shop, uid: 'uid-3' }, appId, { request: 'tuesday' });
      expect((await found(registry)).rotateRequest).toBe('tuesday');
      await registry.recordKeyRotationRequest(shop, appId, 'wednesday');
      expect((await found(registry)).rotateRequest).toBe('wednesday');
    });
  });

  describe('tokens', () => {
    const subject = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
    const appOf = async (registry: Registry): Promise<string> => {
      await registry.registerApp(shop, policy, NONE);
      return (await found(registry)).appId;
    };

    test('mint, retire, set the end, revoke: one revision each, and only the hash is kept', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const first = (await registry.mintToken(subject, mint(appId))).reveal();
      expect(first).toMatch(/^rly_live_/);
      expect(await registry.findTokens(subject, 'uid-t')).toMatchObject([
        { sha256: tokenHash(first), state: 'Active', expiresAt: null, revision: BASE + 2, objectUid: 'uid-t' },
      ]);
      expect(JSON.stringify(await everything())).not.toContain(first);

      now += 1_000;
      const until = now + 60_000;
      const retire = [{ sha256: tokenHash(first), expiresAt: until, graceUntil: until + 1_000 }];
      const second = (await registry.mintToken(subject, mint(appId, { retire, environment: 'Test' }))).reveal();
      expect(second).toMatch(/^rly_test_/);
      expect(await registry.findTokens(subject, 'uid-t')).toMatchObject([
        { sha256: tokenHash(second), state: 'Active', revision: BASE + 3 },
        {
          sha256: tokenHash(first),
          state: 'Retiring',
          retiringAt: now,
          expiresAt: until,
          graceUntil: until + 1_000,
          revision: BASE + 3,
        },
      ]);
      await registry.setTokenEnd(subject, tokenHash(second), end(until + 1));
      expect((await registry.findTokens(subject, 'uid-t'))[0]).toMatchObject({
        expiresAt: until + 1,
        revision: BASE + 4,
      });
      await registry.revokeTokens(subject, [first, second].map(tokenHash), 'spec.revoked');
      expect(await registry.findTokens(subject, 'uid-t')).toMatchObject([
        { state: 'Revoked', revision: BASE + 5 },
        { state: 'Revoked', revision: BASE + 5 },
      ]);
      expect(await published()).toEqual([`app/${appId}`]);
    });

    test('scopes and rate: with the token, changed without a new one, and critical unless they are everything', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const first = tokenHash((await registry.mintToken(subject, mint(appId, { policy: LITTLE }))).reveal());
      const published = async (sha256: string): Promise<unknown> => {
        const { crit, body } = await payloadOf(`token/${sha256}`);
        return { crit, scopes: body?.['scopes'], rate: body?.['rate'] };
      };
      const little = { crit: ['scopes', 'rate'], ...LITTLE };
      const everything = { crit: [], ...EVERYTHING };
      expect(await published(first)).toEqual(little);
      now += 1_000;
      const retire = [{ sha256: first, expiresAt: now + 60_000, graceUntil: null }];
      const second = tokenHash((await registry.mintToken(subject, mint(appId, { retire }))).reveal());
      expect(await published(second)).toEqual(everything);
      // Retired with what it had.
      expect(await published(first)).toEqual(little);

      const changed: TokenPolicy = { scopes: null, rate: { requestsPerMinute: 60, burst: 30 } };
      await registry.setTokenPolicy(subject, [first, second], changed);
      const rows = await registry.findTokens(subject, 'uid-t');
      expect(rows.map(({ sha256, policy: of, revision }) => ({ sha256, of, revision }))).toEqual([
        { sha256: second, of: changed, revision: BASE + 4 },
        { sha256: first, of: changed, revision: BASE + 4 },
      ]);
      for (const sha256 of [first, second]) expect(await published(sha256)).toEqual({ crit: ['rate'], ...changed });
      await registry.setTokenPolicy(subject, [second], EVERYTHING);
      expect(await published(second)).toEqual(everything);
    });

    test('a rotation: staged, promoted, put off, ended, over, forgotten; what relays need not know is no revision', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const entryOf = async (sha256: string): Promise<Partial<TokenEntryBody>> => {
        const { rotated, expiresAt, graceUntil } = tokenEntryBody.parse((await payloadOf(`token/${sha256}`)).body);
        return { rotated, expiresAt, graceUntil };
      };
      const rowOf = async (sha256: string) =>
        (await registry.findTokens(subject, 'uid-t')).find((row) => row.sha256 === sha256);
      const fresh = { rotated: false, expiresAt: null, graceUntil: null };
      const old = tokenHash((await registry.mintToken(subject, mint(appId, { rotateRequest: 'monday' }))).reveal());
      expect(await rowOf(old)).toMatchObject({ activatedAt: NOW, createdAt: NOW, rotateRequest: 'monday' });

      now += 1_000;
      const next = tokenHash((await registry.mintToken(subject, mint(appId, { state: 'Pending' }))).reveal());
      expect(await rowOf(next)).toMatchObject({ state: 'Pending', activatedAt: null, revision: BASE + 3 });
      expect([await entryOf(old), await entryOf(next)]).toEqual([fresh, fresh]);
      await expect(registry.mintToken(subject, mint(appId, { state: 'Pending' }))).rejects.toMatchObject({
        code: 'RegistryConflict',
      });

      now += 1_000;
      const at = now - 10;
      const until = now + 60_000;
      const retire = [{ sha256: old, expiresAt: until, graceUntil: until + 10_000 }];
      for (let twice = 0; twice < 2; twice += 1)
        await registry.promoteToken(subject, promote(next, { at, retire, rotateRequest: 'tuesday' }));
      expect(await rowOf(next)).toMatchObject({ state: 'Active', activatedAt: at, rotateRequest: 'tuesday' });
      expect(await rowOf(old)).toMatchObject({ state: 'Retiring', retiringAt: at, revision: BASE + 4 });
      expect(await entryOf(old)).toEqual({ rotated: true, expiresAt: until, graceUntil: until + 10_000 });

      const later = { expiresAt: until + 1_000, graceUntil: until + 11_000 };
      await registry.setTokenEnd(subject, old, { ...later, final: false });
      expect(await rowOf(old)).toMatchObject({ state: 'Retiring', ...later, revision: BASE + 5 });
      await registry.setTokenEnd(subject, old, { ...later, final: true });
      expect(await rowOf(old)).toMatchObject({ state: 'Ending', ...later, revision: BASE + 5 });
      await registry.recordRotateRequest(subject, next, 'wednesday');
      expect(await rowOf(next)).toMatchObject({ rotateRequest: 'wednesday', revision: BASE + 4 });

      await registry.expireTokens(subject, [old, next]);
      expect(await rowOf(next)).toMatchObject({ state: 'Active' });
      expect(await rowOf(old)).toMatchObject({ state: 'Expired', ...later, revision: BASE + 6 });
      expect(await entryOf(old)).toEqual({ rotated: false, expiresAt: 0, graceUntil: null });
      await registry.revokeTokens(subject, [old], 'ended');
      expect(await published()).not.toContain(`token/${old}`);
    });

    test('a revoked token stays revoked, whatever is asked of it afterwards', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const sha256 = tokenHash((await registry.mintToken(subject, mint(appId))).reveal());
      await registry.revokeTokens(subject, [sha256], 'test');
      await registry.setTokenEnd(subject, sha256, end(now + 1_000));
      await registry.expireTokens(subject, [sha256]);
      await registry.recordRotateRequest(subject, sha256, 'monday');
      await registry.promoteToken(subject, promote(sha256));
      await registry.setTokenPolicy(subject, [sha256], EVERYTHING);
      const retire = [{ sha256, expiresAt: now + 1_000, graceUntil: null }];
      await registry.mintToken(subject, mint(appId, { retire, revoke: [sha256] }));
      const rows = await registry.findTokens(subject, 'uid-t');
      expect(rows.find((row) => row.sha256 === sha256)).toMatchObject({
        state: 'Revoked',
        expiresAt: null,
        revision: BASE + 3,
      });
      expect(await published()).not.toContain(`token/${sha256}`);
    });

    test('one Active token for an identity, also when two mint at once', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const results = await Promise.allSettled([
        registry.mintToken(subject, mint(appId)),
        registry.mintToken(subject, mint(appId)),
      ]);
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(await registry.findTokens(subject, 'uid-t')).toHaveLength(1);
    });

    test('a later object of the same name answers for what is alive, not for what was revoked before it', async () => {
      const { registry } = await lead();
      const appId = await appOf(registry);
      const dead = tokenHash((await registry.mintToken(subject, mint(appId))).reveal());
      await registry.revokeTokens(subject, [dead], 'deleted');
      const alive = tokenHash((await registry.mintToken(subject, mint(appId))).reveal());
      expect((await registry.findTokens(subject, 'uid-other')).map(({ sha256 }) => sha256)).toEqual([alive]);
      expect((await registry.findTokens(subject, 'uid-t')).map(({ sha256 }) => sha256).toSorted()).toEqual(
        [alive, dead].toSorted(),
      );
    });
  });

  test('a deposed leader changes nothing, with any method', async () => {
    const old = (await lead()).registry;
    await old.registerApp(shop, policy, NONE);
    const { appId } = await found(old);
    const token = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
    const sha256 = tokenHash((await old.mintToken(token, mint(appId))).reveal());
    await lead();
    const before = await everything();
    const attempts: Record<string, () => Promise<unknown>> = {
      registerApp: () => old.registerApp({ ...shop, name: 'another' }, policy, NONE),
      updateApp: () => old.updateApp(shop, appId, { ...policy, enabled: false }, NONE),
      rebindApp: () => old.rebindApp({ ...shop, uid: 'uid-2' }, appId),
      takeBackApp: () => old.takeBackApp(shop, appId, policy, NONE),
      retireApp: () => old.retireApp(shop, appId, 'Delete'),
      purgeApps: () => old.purgeApps(now + 1),
      mintToken: () => old.mintToken({ ...token, name: 'another' }, mint(appId)),
      promoteToken: () => old.promoteToken(token, promote(sha256)),
      setTokenEnd: () => old.setTokenEnd(token, sha256, end(now)),
      expireTokens: () => old.expireTokens(token, [sha256]),
      recordRotateRequest: () => old.recordRotateRequest(token, sha256, 'monday'),
      setTokenPolicy: () => old.setTokenPolicy(token, [sha256], EVERYTHING),
      revokeTokens: () => old.revokeTokens(token, [sha256], 'test'),
    };
    for (const [name, attempt] of Object.entries(attempts)) {
      const outcome = await attempt().then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      expect({ name, outcome }).toEqual({ name, outcome: 'not_leading' });
    }
    expect(await everything()).toEqual(before);
  });

  describe('isolation', () => {
    const stranger: Subject = { namespace: 'elsewhere', name: 'checkout', uid: 'uid-s' };

    test('no object changes an app or a token of another identity, whatever ids it passes', async () => {
      const { registry } = await lead();
      await registry.registerApp(shop, policy, NONE);
      const { appId } = await found(registry);
      const token = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
      const sha256 = tokenHash((await registry.mintToken(token, mint(appId))).reveal());
      await registry.registerApp({ ...shop, name: 'retired' }, policy, NONE);
      const retired = (await found(registry, { ...shop, name: 'retired' })).appId;
      await registry.retireApp({ ...shop, name: 'retired' }, retired, 'Retain');

      expect(await registry.findApp(stranger, stranger.uid)).toBeUndefined();
      expect(await registry.findApp(stranger, shop.uid)).toBeUndefined();
      expect(await registry.findRetiredApp({ ...stranger, name: 'retired' }, retired)).toBeUndefined();
      expect(await registry.findTokens({ ...stranger, name: 'ci' }, 'uid-t')).toEqual([]);

      const state = async (): Promise<unknown> => [
        await query('SELECT * FROM app ORDER BY app_id'),
        await query('SELECT * FROM token WHERE sha256 = $1', sha256),
        await query(`SELECT * FROM entry WHERE key LIKE 'app/%' OR key = $1 ORDER BY key`, `token/${sha256}`),
      ];
      const before = await state();
      const attempts = [
        () => registry.updateApp(stranger, appId, { ...policy, enabled: false }, NONE),
        () => registry.takeBackApp(stranger, retired, policy, NONE),
        () => registry.takeBackApp({ ...shop, name: 'another' }, retired, policy, NONE),
        () => registry.rebindApp(stranger, appId),
        () => registry.retireApp(stranger, appId, 'Delete'),
        () => registry.retireApp({ ...shop, name: 'another' }, appId, 'Delete'),
        () => registry.setTokenEnd({ ...stranger, name: 'ci' }, sha256, end(now)),
        () => registry.expireTokens({ ...stranger, name: 'ci' }, [sha256]),
        () => registry.recordRotateRequest({ ...stranger, name: 'ci' }, sha256, 'monday'),
        () => registry.promoteToken({ ...stranger, name: 'ci' }, promote(sha256)),
        () => registry.promoteToken({ ...token, name: 'another' }, promote(sha256)),
        () => registry.setTokenPolicy({ ...stranger, name: 'ci' }, [sha256], LITTLE),
        () => registry.setTokenPolicy({ ...token, name: 'another' }, [sha256], LITTLE),
        () => registry.revokeTokens({ ...stranger, name: 'ci' }, [sha256], 'test'),
        () => registry.revokeTokens({ ...token, name: 'another' }, [sha256], 'test'),
        () =>
          registry.mintToken(
            { ...stranger, name: 'thief' },
            mint(appId, { retire: [{ sha256, ...end(now) }], revoke: [sha256] }),
          ),
      ];
      for (const attempt of attempts) await attempt().catch(() => undefined);
      expect(await state()).toEqual(before);
      // Above all: nobody got a token for somebody else's app.
      expect(await query(`SELECT name FROM token WHERE namespace = 'elsewhere'`)).toEqual([]);
    });

    test('two installations with one database: the same names, apart', async () => {
      const one = (await lead('one')).registry;
      await one.registerApp(shop, policy, NONE);
      const two = (await lead('two')).registry;
      expect(await two.findApp(shop, shop.uid)).toBeUndefined();
      await two.registerApp(shop, policy, NONE);
      expect((await found(one)).appId).not.toBe((await found(two)).appId);
      await two.retireApp(shop, (await found(two)).appId, 'Delete');
      expect((await found(one)).state).toBe('Active');
      expect(await (await lead('one')).registry.purgeApps(now + 1)).toEqual([]);
    });

    test("a secret does not open in another app's row, nor with another installation's name", async () => {
      const { registry } = await lead();
      await registry.registerApp(shop, policy, NONE);
      await registry.registerApp({ ...shop, name: 'other' }, policy, NONE);
      const [mine, others] = [await found(registry), await found(registry, { ...shop, name: 'other' })];
      await query(
        `UPDATE app_key SET id = (SELECT id || 'x' FROM app_key WHERE app_id = $1), secret = (SELECT secret FROM app_key WHERE app_id = $1) WHERE app_id = $2`,
        mine.appId,
        others.appId,
      );
      await expect(registry.findApp({ ...shop, name: 'other' }, shop.uid)).rejects.toMatchObject({
        code: 'SecretNotOpened',
      });
      await query(`UPDATE app_key SET id = left(id, -1) WHERE app_id = $1`, others.appId);
      await expect(registry.findApp({ ...shop, name: 'other' }, shop.uid)).rejects.toMatchObject({
        code: 'SecretNotOpened',
      });
      await query(`UPDATE app SET installation = 'two' WHERE app_id = $1`, mine.appId);
      await expect((await lead('two')).registry.findApp(shop, shop.uid)).rejects.toMatchObject({
        code: 'SecretNotOpened',
      });
    });
  });
});
