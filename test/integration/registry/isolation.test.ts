import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tokenHash } from '#crds/token-format.ts';
import type { Subject } from '#operator/registry/subject.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { end, EVERYTHING, found, LITTLE, NO_HEADERS, RegistryWorld, shop } from './registry-world.ts';

// Who changes nothing in the registry: a leader that was deposed, an object of another identity, another installation.

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.create();
});
afterEach(() => world[Symbol.asyncDispose]());

test('a deposed leader changes nothing, with any method', async () => {
  const old = (await world.lead()).registry;
  await old.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  const { appId } = await found(old);
  const token = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
  const sha256 = tokenHash((await old.mintToken(token, world.mint(appId))).reveal());
  await world.lead();
  const before = await world.everything();
  const attempts: Record<string, () => Promise<unknown>> = {
    registerApp: () => old.registerApp({ ...shop, name: 'another' }, DEFAULT_POLICY, NO_HEADERS),
    updateApp: () => old.updateApp(shop, appId, { ...DEFAULT_POLICY, enabled: false }, NO_HEADERS),
    rebindApp: () => old.rebindApp({ ...shop, uid: 'uid-2' }, appId),
    takeBackApp: () => old.takeBackApp(shop, appId, DEFAULT_POLICY, NO_HEADERS),
    retireApp: () => old.retireApp(shop, appId, 'Delete'),
    purgeApps: () => old.purgeApps(world.now + 1),
    mintToken: () => old.mintToken({ ...token, name: 'another' }, world.mint(appId)),
    promoteToken: () => old.promoteToken(token, world.promote(sha256)),
    setTokenEnd: () => old.setTokenEnd(token, sha256, end(world.now)),
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
  expect(await world.everything()).toEqual(before);
});

describe('isolation', () => {
  const stranger: Subject = { namespace: 'elsewhere', name: 'checkout', uid: 'uid-s' };

  test('no object changes an app or a token of another identity, whatever ids it passes', async () => {
    const { registry } = await world.lead();
    await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
    const { appId } = await found(registry);
    const token = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
    const sha256 = tokenHash((await registry.mintToken(token, world.mint(appId))).reveal());
    await registry.registerApp({ ...shop, name: 'retired' }, DEFAULT_POLICY, NO_HEADERS);
    const retired = (await found(registry, { ...shop, name: 'retired' })).appId;
    await registry.retireApp({ ...shop, name: 'retired' }, retired, 'Retain');

    expect(await registry.findApp(stranger, stranger.uid)).toBeUndefined();
    expect(await registry.findApp(stranger, shop.uid)).toBeUndefined();
    expect(await registry.findRetiredApp({ ...stranger, name: 'retired' }, retired)).toBeUndefined();
    expect(await registry.findTokens({ ...stranger, name: 'ci' }, 'uid-t')).toEqual([]);

    const state = async (): Promise<unknown> => [
      await world.query('SELECT * FROM app ORDER BY app_id'),
      await world.query('SELECT * FROM token WHERE sha256 = $1', sha256),
      await world.query(`SELECT * FROM entry WHERE key LIKE 'app/%' OR key = $1 ORDER BY key`, `token/${sha256}`),
    ];
    const before = await state();
    const attempts = [
      () => registry.updateApp(stranger, appId, { ...DEFAULT_POLICY, enabled: false }, NO_HEADERS),
      () => registry.takeBackApp(stranger, retired, DEFAULT_POLICY, NO_HEADERS),
      () => registry.takeBackApp({ ...shop, name: 'another' }, retired, DEFAULT_POLICY, NO_HEADERS),
      () => registry.rebindApp(stranger, appId),
      () => registry.retireApp(stranger, appId, 'Delete'),
      () => registry.retireApp({ ...shop, name: 'another' }, appId, 'Delete'),
      () => registry.setTokenEnd({ ...stranger, name: 'ci' }, sha256, end(world.now)),
      () => registry.expireTokens({ ...stranger, name: 'ci' }, [sha256]),
      () => registry.recordRotateRequest({ ...stranger, name: 'ci' }, sha256, 'monday'),
      () => registry.promoteToken({ ...stranger, name: 'ci' }, world.promote(sha256)),
      () => registry.promoteToken({ ...token, name: 'another' }, world.promote(sha256)),
      () => registry.setTokenPolicy({ ...stranger, name: 'ci' }, [sha256], LITTLE),
      () => registry.setTokenPolicy({ ...token, name: 'another' }, [sha256], LITTLE),
      () => registry.revokeTokens({ ...stranger, name: 'ci' }, [sha256], 'test'),
      () => registry.revokeTokens({ ...token, name: 'another' }, [sha256], 'test'),
      () =>
        registry.mintToken(
          { ...stranger, name: 'thief' },
          world.mint(appId, { retire: [{ sha256, ...end(world.now) }], revoke: [sha256] }),
        ),
    ];
    for (const attempt of attempts) await attempt().catch(() => undefined);
    expect(await state()).toEqual(before);
    // Above all: nobody got a token for somebody else's app.
    expect(await world.query(`SELECT name FROM token WHERE namespace = 'elsewhere'`)).toEqual([]);
  });

  test('two installations with one database: the same names, apart', async () => {
    const one = (await world.lead('one')).registry;
    await one.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
    const two = (await world.lead('two')).registry;
    expect(await two.findApp(shop, shop.uid)).toBeUndefined();
    await two.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
    expect((await found(one)).appId).not.toBe((await found(two)).appId);
    await two.retireApp(shop, (await found(two)).appId, 'Delete');
    expect((await found(one)).state).toBe('Active');
    expect(await (await world.lead('one')).registry.purgeApps(world.now + 1)).toEqual([]);
  });

  test("a secret does not open in another app's row, nor with another installation's name", async () => {
    const { registry } = await world.lead();
    await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
    await registry.registerApp({ ...shop, name: 'other' }, DEFAULT_POLICY, NO_HEADERS);
    const [mine, others] = [await found(registry), await found(registry, { ...shop, name: 'other' })];
    await world.query(
      `UPDATE app_key SET id = (SELECT id || 'x' FROM app_key WHERE app_id = $1), secret = (SELECT secret FROM app_key WHERE app_id = $1) WHERE app_id = $2`,
      mine.appId,
      others.appId,
    );
    await expect(registry.findApp({ ...shop, name: 'other' }, shop.uid)).rejects.toMatchObject({
      code: 'SecretNotOpened',
    });
    await world.query(`UPDATE app_key SET id = left(id, -1) WHERE app_id = $1`, others.appId);
    await expect(registry.findApp({ ...shop, name: 'other' }, shop.uid)).rejects.toMatchObject({
      code: 'SecretNotOpened',
    });
    await world.query(`UPDATE app SET installation = 'two' WHERE app_id = $1`, mine.appId);
    await expect((await world.lead('two')).registry.findApp(shop, shop.uid)).rejects.toMatchObject({
      code: 'SecretNotOpened',
    });
  });
});
