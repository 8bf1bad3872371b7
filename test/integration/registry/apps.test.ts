import { afterEach, beforeEach, expect, test } from 'vitest';
import { appEntryBody } from '#crds/directory/entry-body.ts';
import { Secret } from '#crds/keyring.ts';
import { unseal } from '#crds/sealed.ts';
import type { AppPolicy } from '#operator/registry/app-registry.ts';
import type { Subject } from '#operator/registry/subject.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { BASE, credentials, found, NO_HEADERS, NOW, RegistryWorld, shop } from './registry-world.ts';

// What the port (operator/registry/app-registry.ts) promises, of the adapter and a real PostgreSQL.

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.create();
});
afterEach(() => world[Symbol.asyncDispose]());

test('register, update, retire: each is one revision, one audit row and what the relays shall hold', async () => {
  const { registry } = await world.lead();
  expect(await registry.findApp(shop, shop.uid)).toBeUndefined();
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  const row = await found(registry);
  expect(row).toMatchObject({
    objectUid: 'uid-1',
    state: 'Active',
    policy: DEFAULT_POLICY,
    revision: BASE + 1,
    changedAt: NOW,
  });
  expect(row.appId).toMatch(/^[1-9][0-9]{9}$/);
  expect(credentials(row)).toEqual([expect.stringMatching(/^[0-9a-z]{20}:[0-9a-z]{40}$/)]);
  expect(await world.published()).toEqual([`app/${row.appId}`]);

  world.now += 1_000;
  await registry.updateApp(shop, row.appId, { ...DEFAULT_POLICY, enabled: false }, NO_HEADERS);
  expect(await found(registry)).toMatchObject({
    policy: { enabled: false },
    revision: BASE + 2,
    changedAt: world.now,
  });
  await registry.retireApp(shop, row.appId, 'Delete');
  expect(await found(registry)).toMatchObject({ state: 'Deleted', revision: BASE + 3 });
  expect(await world.published()).toEqual([]);
  expect((await world.query('SELECT action FROM audit ORDER BY id')).map(({ action }) => action)).toEqual([
    'app.register',
    'app.update',
    'app.retire',
  ]);
  expect(await world.query('SELECT revision FROM outbox ORDER BY revision')).toHaveLength(3);
});

test('of two that register one identity at once, one does, and the other is told to look again', async () => {
  const { registry } = await world.lead();
  const results = await Promise.allSettled([
    registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS),
    registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS),
  ]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
    reason: { code: 'RegistryConflict' },
  });
  expect(await world.published()).toHaveLength(1);
});

test('Retain comes back by itself, Delete only by its id, each with the keys it had', async () => {
  const { registry } = await world.lead();
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  const first = await found(registry);
  await registry.retireApp(shop, first.appId, 'Delete');
  expect(await registry.findRetiredApp(shop, undefined)).toBeUndefined();
  await registry.registerApp({ ...shop, uid: 'uid-2' }, DEFAULT_POLICY, NO_HEADERS);
  const second = await found(registry, { ...shop, uid: 'uid-2' });
  world.now += 1_000;
  await registry.retireApp({ ...shop, uid: 'uid-2' }, second.appId, 'Retain');

  const reborn = { ...shop, uid: 'uid-3' };
  const retained = await registry.findRetiredApp(reborn, undefined);
  expect(retained?.appId).toBe(second.appId);
  const deleted = await registry.findRetiredApp(reborn, first.appId);
  expect(deleted?.appId).toBe(first.appId);
  await registry.takeBackApp(reborn, first.appId, DEFAULT_POLICY, NO_HEADERS);
  const back = await found(registry, reborn);
  expect(back).toMatchObject({ appId: first.appId, state: 'Active', objectUid: 'uid-3' });
  expect(credentials(back)).toEqual(credentials(first));
  expect(await world.published()).toEqual([`app/${first.appId}`]);
});

test('headers of webhooks: sealed at rest and for the relays, each for its own place; gone with the app, and back with it', async () => {
  const { registry } = await world.lead();
  const value = 'Bearer header-canary-7f3a';
  const text = JSON.stringify({ Authorization: value });
  const webhook = { url: 'https://example.com', events: ['client_event' as const], channelPrefix: null };
  const declared: AppPolicy = {
    ...DEFAULT_POLICY,
    webhooks: [
      { name: 'bare', ...webhook, batching: false },
      { name: 'signed', ...webhook, batching: true },
    ],
  };
  await registry.registerApp(shop, declared, new Map([['signed', new Secret(text)]]));
  const { appId, policy: stored, webhookHeaders } = await found(registry);
  expect(stored).toEqual(declared);
  expect([...webhookHeaders].map(([name, header]) => [name, header.reveal()])).toEqual([['signed', text]]);
  expect(JSON.stringify(await world.everything())).not.toContain('header-canary');

  const sealedAtRest = async (): Promise<unknown> => (await world.query('SELECT webhook_headers FROM app'))[0];
  const atRest = (await sealedAtRest()) as { webhook_headers: { signed: string } };
  const owner = ['default', appId];
  expect(unseal(world.rings.encryption, owner, 'webhook.signed.headers', atRest.webhook_headers.signed)).toBe(text);
  expect(() => unseal(world.rings.encryption, owner, 'webhook.bare.headers', atRest.webhook_headers.signed)).toThrow(
    'does not open',
  );
  const body = async () => appEntryBody.parse((await world.payloadOf(`app/${appId}`)).body);
  const [bare, signed] = (await body()).webhooks;
  expect(bare).toEqual({ ...declared.webhooks[0], headers: null });
  expect(signed).toMatchObject(declared.webhooks[1] ?? {});
  expect(unseal(world.rings.directory, [appId], 'webhook.signed.headers', signed?.headers ?? '')).toBe(text);

  await registry.updateApp(shop, appId, declared, new Map([['signed', new Secret('{"A":"1"}')]]));
  expect((await found(registry)).revision).toBe(BASE + 2);
  const changed = (await body()).webhooks[1]?.headers ?? '';
  expect(unseal(world.rings.directory, [appId], 'webhook.signed.headers', changed)).toBe('{"A":"1"}');
  await registry.retireApp(shop, appId, 'Retain');
  expect(await sealedAtRest()).toEqual({ webhook_headers: {} });
  await registry.takeBackApp(shop, appId, declared, new Map([['signed', new Secret(text)]]));
  expect((await found(registry)).webhookHeaders.get('signed')?.reveal()).toBe(text);
});

test('a row of the former version, which knew fewer fields, is found, updated and retired like any other', async () => {
  const { registry } = await world.lead();
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  const { appId } = await found(registry);
  const former = {
    enabled: true,
    authentication: DEFAULT_POLICY.authentication,
    limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10 },
    channels: { clientEvents: true },
  };
  await world.query('UPDATE app SET policy = $1', former);
  expect((await found(registry)).policy).toEqual(former);
  await registry.updateApp(shop, appId, DEFAULT_POLICY, NO_HEADERS);
  expect((await found(registry)).policy).toEqual(DEFAULT_POLICY);
  await world.query('UPDATE app SET policy = $1', former);
  await registry.retireApp(shop, appId, 'Retain');
  expect((await registry.findRetiredApp(shop, undefined))?.policy).toEqual(former);
});

test('rebind: a rebuilt cluster finds its keys; nothing is published', async () => {
  const { registry } = await world.lead();
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  const before = await found(registry);
  const rebuilt = { ...shop, uid: 'uid-9' };
  await registry.rebindApp(rebuilt, before.appId);
  expect(await found(registry, rebuilt)).toMatchObject({
    appId: before.appId,
    objectUid: 'uid-9',
    revision: BASE + 1,
  });
  expect(await world.query('SELECT revision FROM outbox')).toHaveLength(1);
});

test('purge: what was deleted long enough ago is gone for good with its tokens; Retained and fresh ones stay', async () => {
  const { registry } = await world.lead();
  const names = ['old', 'kept', 'fresh', 'living'];
  const subjects = names.map((name) => ({ ...shop, name }));
  for (const subject of subjects) await registry.registerApp(subject, DEFAULT_POLICY, NO_HEADERS);
  const ids = await Promise.all(subjects.map(async (subject) => (await found(registry, subject)).appId));
  const [old = '', kept = '', fresh = '', living = ''] = ids;
  await registry.mintToken({ ...shop, name: 'old' }, world.mint(old));
  await registry.mintToken({ ...shop, name: 'living' }, world.mint(living));
  const subjectOf = (name: string): Subject => ({ ...shop, name });
  await registry.retireApp(subjectOf('old'), old, 'Delete');
  await registry.retireApp(subjectOf('kept'), kept, 'Retain');
  world.now += 8 * 86_400_000;
  await registry.retireApp(subjectOf('fresh'), fresh, 'Delete');
  expect(await registry.purgeApps(world.now - 7 * 86_400_000)).toEqual([old]);
  expect(await registry.purgeApps(world.now - 7 * 86_400_000)).toEqual([]);
  expect(await world.query('SELECT 1 FROM token WHERE app_id = $1', old)).toEqual([]);
  expect((await world.query('SELECT app_id FROM app')).map(({ app_id }) => String(app_id)).toSorted()).toEqual(
    [kept, fresh, living].toSorted(),
  );
  expect((await world.published()).filter((key) => key.startsWith('token/'))).toHaveLength(1);
});
