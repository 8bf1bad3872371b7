import { afterEach, beforeEach, expect, test } from 'vitest';
import { appEntryBody } from '#crds/directory/entry-body.ts';
import { Secret } from '#crds/keyring.ts';
import type { StageKey } from '#operator/registry/app-key-registry.ts';
import type { AppRow } from '#operator/registry/app-registry.ts';
import type { Registry } from '#operator/registry/registry.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { BASE, credentials, found, NO_HEADERS, RegistryWorld, shop } from './registry-world.ts';

// What the port (operator/registry/app-key-registry.ts) promises, of the adapter and a real PostgreSQL.

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.create();
});
afterEach(() => world[Symbol.asyncDispose]());

const HOUR = 3_600_000;
const STAGE: StageKey = { rotates: 'KeyAndSecret', imported: null, reason: 'interval', request: null };
const TIMES = { overlap: HOUR, deadline: 4 * HOUR };
const states = ({ keys }: AppRow): string[] => keys.map(({ state }) => state);
const registered = async (registry: Registry, subject = shop): Promise<string> => {
  await registry.registerApp(subject, DEFAULT_POLICY, NO_HEADERS);
  return (await found(registry, subject)).appId;
};
const bodyOf = async (appId: string) => appEntryBody.parse((await world.payloadOf(`app/${appId}`)).body);
const idOf = ({ keys }: AppRow, state: string): string => keys.find((key) => key.state === state)?.id ?? '';

test('staged, promoted, ended: one revision each, and the relays are told who verifies until when', async () => {
  const { registry } = await world.lead();
  const appId = await registered(registry);
  const first = await found(registry);
  world.now += 1_000;
  await registry.stageKey(shop, appId, { ...STAGE, request: 'monday' });
  const staged = await found(registry);
  expect(states(staged)).toEqual(['Active', 'Pending']);
  expect(staged).toMatchObject({
    revision: BASE + 2,
    changedAt: world.now,
    rotateRequest: 'monday',
    rotatedAt: null,
  });
  expect(staged.keys[1]).toMatchObject({ origin: 'Minted', activatedAt: null, retirement: null });
  expect(credentials(staged)[0]).toBe(credentials(first)[0]);
  expect((await bodyOf(appId)).keys).toMatchObject([
    { id: idOf(staged, 'Active'), expiresAt: null, pending: false },
    { id: idOf(staged, 'Pending'), expiresAt: null, pending: true },
  ]);

  world.now += 1_000;
  await registry.promoteKey(shop, appId, idOf(staged, 'Pending'), TIMES);
  const promoted = await found(registry);
  expect(states(promoted)).toEqual(['Retiring', 'Active']);
  expect(credentials(promoted)).toEqual(credentials(staged));
  expect(promoted).toMatchObject({ revision: BASE + 3, rotatedAt: world.now });
  expect(promoted.keys).toMatchObject([
    {
      retirement: {
        since: world.now,
        overlapUntil: world.now + HOUR,
        expiresAt: world.now + 4 * HOUR,
        inUseTold: false,
      },
    },
    { activatedAt: world.now, retirement: null },
  ]);
  expect((await bodyOf(appId)).keys).toMatchObject([
    { expiresAt: world.now + 4 * HOUR, pending: false },
    { expiresAt: null, pending: false },
  ]);

  const old = idOf(promoted, 'Retiring');
  await registry.setKeyTimes(shop, appId, old, {
    since: world.now,
    overlapUntil: world.now + 1,
    expiresAt: world.now + 2,
  });
  expect((await bodyOf(appId)).keys[0]?.expiresAt).toBe(world.now + 2);
  await registry.noteKeyInUse(shop, appId, old);
  expect((await found(registry)).keys[0]?.retirement?.inUseTold).toBe(true);
  expect((await found(registry)).revision).toBe(BASE + 4);
  await registry.endKey(shop, appId, old, true);
  expect(await found(registry)).toMatchObject({ revision: BASE + 5 });
  expect(states(await found(registry))).toEqual(['Active']);
  expect((await bodyOf(appId)).keys).toHaveLength(1);
  expect((await world.query('SELECT action FROM audit ORDER BY id')).map(({ action }) => action)).toEqual([
    'app.register',
    'key.stage',
    'key.promote',
    'key.set-times',
    'key.in-use',
    'key.end',
  ]);
  const secrets = promoted.keys.map(({ secret }) => secret.reveal());
  for (const secret of secrets) expect(JSON.stringify(await world.everything())).not.toContain(secret);
});

test('one key waits at a time, and each step that was taken already says so quietly', async () => {
  const { registry } = await world.lead();
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
  const before = await world.everything();
  await expect(registry.promoteKey(shop, appId, pending, TIMES)).rejects.toMatchObject({ quiet: true });
  await expect(registry.endKey(shop, appId, pending, false)).rejects.toMatchObject({ quiet: true });
  await expect(
    registry.setKeyTimes(shop, appId, pending, { since: world.now, overlapUntil: world.now, expiresAt: world.now }),
  ).rejects.toMatchObject({ quiet: true });
  expect(await world.everything()).toEqual(before);
});

test('rotates: Secret keeps the public key, and an app of a leader that was deposed stays as it is', async () => {
  const deposed = await world.lead();
  const { registry } = await world.lead();
  const appId = await registered(registry);
  await registry.stageKey(shop, appId, { ...STAGE, rotates: 'Secret' });
  const { keys } = await found(registry);
  expect(keys[1]?.key).toBe(keys[0]?.key);
  expect(keys[1]?.secret.reveal()).not.toBe(keys[0]?.secret.reveal());
  expect((await world.payloadOf(`app/${appId}`)).crit).toEqual(['sharedKeys']);
  const before = await world.everything();
  await expect(deposed.registry.promoteKey(shop, appId, keys[1]?.id ?? '', TIMES)).rejects.toMatchObject({
    quiet: true,
  });
  expect(await world.everything()).toEqual(before);
});

test('no object can rotate, promote or end the keys of another one', async () => {
  const { registry } = await world.lead();
  const appId = await registered(registry);
  await registry.stageKey(shop, appId, STAGE);
  const pending = idOf(await found(registry), 'Pending');
  const before = await world.everything();
  const stranger = { ...shop, namespace: 'evil' };
  for (const attempt of [
    () => registry.stageKey(stranger, appId, STAGE),
    () => registry.promoteKey(stranger, appId, pending, TIMES),
    () => registry.setKeyTimes(stranger, appId, pending, { since: 0, overlapUntil: 0, expiresAt: 0 }),
    () => registry.endKey(stranger, appId, pending, false),
    () => registry.recordKeyRotationRequest(stranger, appId, 'x'),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'NotRegistered' });
  expect(await world.everything()).toEqual(before);
});

test('what is imported is registered as it is, and an id or a public key belongs to one app', async () => {
  const { registry } = await world.lead();
  const imported = { appId: '480192', key: 'shared-Key', secret: new Secret('s3cr3t!') };
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS, { imported, request: 'at first sight' });
  expect(await found(registry)).toMatchObject({ appId: '480192', rotateRequest: 'at first sight' });
  expect(credentials(await found(registry))).toEqual(['shared-Key:s3cr3t!']);
  expect((await found(registry)).keys[0]?.origin).toBe('Imported');

  const other = { namespace: 'shop', name: 'other', uid: 'uid-2' };
  const clash = (appId: string, key: string) => registry.findClash({ ...other, appId }, key);
  expect(await clash('480192', 'free')).toBe('appId');
  expect(await clash('7', 'shared-Key')).toBe('key');
  expect(await clash('7', 'free')).toBeUndefined();
  expect(await registry.findClash({ ...shop, appId: '480192' }, 'shared-Key')).toBeUndefined();
  const before = await world.everything();
  for (const attempt of [
    () => registry.registerApp(other, DEFAULT_POLICY, NO_HEADERS, { imported: { ...imported, key: 'free' } }),
    () => registry.registerApp(other, DEFAULT_POLICY, NO_HEADERS, { imported: { ...imported, appId: '7' } }),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'RegistryConflict', quiet: true });
  expect(await world.everything()).toEqual(before);

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
  world.now += 8 * 86_400_000;
  await registry.purgeApps(world.now - 7 * 86_400_000);
  expect(await clash('480192', 'shared-Key')).toBeUndefined();
});

test('a retained app takes back all of its keys, and what was asked of it', async () => {
  const { registry } = await world.lead();
  const appId = await registered(registry);
  await registry.stageKey(shop, appId, { ...STAGE, request: 'monday' });
  await registry.promoteKey(shop, appId, idOf(await found(registry), 'Pending'), TIMES);
  await registry.stageKey(shop, appId, STAGE);
  const before = await found(registry);
  expect(states(before)).toEqual(['Retiring', 'Active', 'Pending']);
  await registry.retireApp(shop, appId, 'Retain');
  const reborn = { ...shop, uid: 'uid-2' };
  await registry.takeBackApp(reborn, appId, DEFAULT_POLICY, NO_HEADERS);
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
