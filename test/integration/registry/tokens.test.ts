import { afterEach, beforeEach, expect, test } from 'vitest';
import { tokenEntryBody, type TokenEntryBody } from '#crds/directory/entry-body.ts';
import { tokenHash } from '#crds/token-format.ts';
import type { Registry } from '#operator/registry/registry.ts';
import type { MintToken, TokenPolicy } from '#operator/registry/token-registry.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { BASE, end, EVERYTHING, found, LITTLE, NO_HEADERS, NOW, RegistryWorld, shop } from './registry-world.ts';

// What the port (operator/registry/token-registry.ts) promises, of the adapter and a real PostgreSQL.

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.create();
});
afterEach(() => world[Symbol.asyncDispose]());

const subject = { namespace: 'shop', name: 'ci', uid: 'uid-t' };
const appOf = async (registry: Registry): Promise<string> => {
  await registry.registerApp(shop, DEFAULT_POLICY, NO_HEADERS);
  return (await found(registry)).appId;
};

test('mint, retire, set the end, revoke: one revision each, and only the hash is kept', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const first = (await registry.mintToken(subject, world.mint(appId))).reveal();
  expect(first).toMatch(/^rly_live_/);
  expect(await registry.findTokens(subject, 'uid-t')).toMatchObject([
    { sha256: tokenHash(first), state: 'Active', expiresAt: null, revision: BASE + 2, objectUid: 'uid-t' },
  ]);
  expect(JSON.stringify(await world.everything())).not.toContain(first);

  world.now += 1_000;
  const until = world.now + 60_000;
  const retire = [{ sha256: tokenHash(first), expiresAt: until, graceUntil: until + 1_000 }];
  const second = (await registry.mintToken(subject, world.mint(appId, { retire, environment: 'Test' }))).reveal();
  expect(second).toMatch(/^rly_test_/);
  expect(await registry.findTokens(subject, 'uid-t')).toMatchObject([
    { sha256: tokenHash(second), state: 'Active', revision: BASE + 3 },
    {
      sha256: tokenHash(first),
      state: 'Retiring',
      retiringAt: world.now,
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
  expect(await world.published()).toEqual([`app/${appId}`]);
});

test('scopes and rate: with the token, changed without a new one, and critical unless they are everything', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const first = tokenHash((await registry.mintToken(subject, world.mint(appId, { policy: LITTLE }))).reveal());
  const told = async (sha256: string): Promise<unknown> => {
    const { crit, body } = await world.payloadOf(`token/${sha256}`);
    return { crit, scopes: body?.['scopes'], rate: body?.['rate'] };
  };
  const little = { crit: ['scopes', 'rate'], ...LITTLE };
  const everything = { crit: [], ...EVERYTHING };
  expect(await told(first)).toEqual(little);
  world.now += 1_000;
  const retire = [{ sha256: first, expiresAt: world.now + 60_000, graceUntil: null }];
  const second = tokenHash((await registry.mintToken(subject, world.mint(appId, { retire }))).reveal());
  expect(await told(second)).toEqual(everything);
  // Retired with what it had.
  expect(await told(first)).toEqual(little);

  const changed: TokenPolicy = { scopes: null, rate: { requestsPerMinute: 60, burst: 30 } };
  await registry.setTokenPolicy(subject, [first, second], changed);
  const rows = await registry.findTokens(subject, 'uid-t');
  expect(rows.map(({ sha256, policy: of, revision }) => ({ sha256, of, revision }))).toEqual([
    { sha256: second, of: changed, revision: BASE + 4 },
    { sha256: first, of: changed, revision: BASE + 4 },
  ]);
  for (const sha256 of [first, second]) expect(await told(sha256)).toEqual({ crit: ['rate'], ...changed });
  await registry.setTokenPolicy(subject, [second], EVERYTHING);
  expect(await told(second)).toEqual(everything);
});

test('a rotation: staged, promoted, put off, ended, over, forgotten; what relays need not know is no revision', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const entryOf = async (sha256: string): Promise<Partial<TokenEntryBody>> => {
    const { rotated, expiresAt, graceUntil } = tokenEntryBody.parse((await world.payloadOf(`token/${sha256}`)).body);
    return { rotated, expiresAt, graceUntil };
  };
  const rowOf = async (sha256: string) =>
    (await registry.findTokens(subject, 'uid-t')).find((row) => row.sha256 === sha256);
  const fresh = { rotated: false, expiresAt: null, graceUntil: null };
  const old = tokenHash((await registry.mintToken(subject, world.mint(appId, { rotateRequest: 'monday' }))).reveal());
  expect(await rowOf(old)).toMatchObject({ activatedAt: NOW, createdAt: NOW, rotateRequest: 'monday' });

  world.now += 1_000;
  const next = tokenHash((await registry.mintToken(subject, world.mint(appId, { state: 'Pending' }))).reveal());
  expect(await rowOf(next)).toMatchObject({ state: 'Pending', activatedAt: null, revision: BASE + 3 });
  expect([await entryOf(old), await entryOf(next)]).toEqual([fresh, fresh]);
  await expect(registry.mintToken(subject, world.mint(appId, { state: 'Pending' }))).rejects.toMatchObject({
    code: 'RegistryConflict',
  });

  world.now += 1_000;
  const at = world.now - 10;
  const until = world.now + 60_000;
  const retire = [{ sha256: old, expiresAt: until, graceUntil: until + 10_000 }];
  for (let twice = 0; twice < 2; twice += 1)
    await registry.promoteToken(subject, world.promote(next, { at, retire, rotateRequest: 'tuesday' }));
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
  expect(await world.published()).not.toContain(`token/${old}`);
});

test('a revoked token stays revoked, whatever is asked of it afterwards', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const sha256 = tokenHash((await registry.mintToken(subject, world.mint(appId))).reveal());
  await registry.revokeTokens(subject, [sha256], 'test');
  await registry.setTokenEnd(subject, sha256, end(world.now + 1_000));
  await registry.expireTokens(subject, [sha256]);
  await registry.recordRotateRequest(subject, sha256, 'monday');
  await registry.promoteToken(subject, world.promote(sha256));
  await registry.setTokenPolicy(subject, [sha256], EVERYTHING);
  const retire = [{ sha256, expiresAt: world.now + 1_000, graceUntil: null }];
  await registry.mintToken(subject, world.mint(appId, { retire, revoke: [sha256] }));
  const rows = await registry.findTokens(subject, 'uid-t');
  expect(rows.find((row) => row.sha256 === sha256)).toMatchObject({
    state: 'Revoked',
    expiresAt: null,
    revision: BASE + 3,
  });
  expect(await world.published()).not.toContain(`token/${sha256}`);
});

test('however many were revoked after it, what is in the directory is found, and of the revoked ones the latest', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const alive = tokenHash((await registry.mintToken(subject, world.mint(appId))).reveal());
  // As when each attempt to stage the next one fails at its Secret: a quota, a policy.
  await world.query(
    `INSERT INTO token SELECT (jsonb_populate_record(token, jsonb_build_object('sha256', encode(sha256(n::text::bytea), 'hex'),
            'id', 'dropped' || n, 'state', 'Revoked', 'created_at', created_at + n * interval '1 second'))).*
       FROM token, generate_series(1, 150) AS n`,
  );
  const rows = await registry.findTokens(subject, 'uid-t');
  expect(rows).toHaveLength(100);
  expect(rows[0]).toMatchObject({ sha256: alive, state: 'Active' });
  await registry.revokeTokens(subject, [alive], 'spec.revoked');
  expect((await registry.findTokens(subject, 'uid-t'))[0]).toMatchObject({ sha256: alive, state: 'Revoked' });
});

test('what was revoked a month ago is forgotten when another one is minted, and nothing else', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const hashes: string[] = [];
  const next = async (more: Partial<MintToken> = {}): Promise<void> => {
    hashes.push(tokenHash((await registry.mintToken(subject, world.mint(appId, more))).reveal()));
  };
  await next();
  await registry.revokeTokens(subject, hashes, 'spec.revoked');
  world.now += 20 * 86_400_000;
  await next();
  const [, second = ''] = hashes;
  world.now += 9 * 86_400_000;
  await next({ retire: [{ sha256: second, expiresAt: world.now + 1_000, graceUntil: null }] });
  expect(await registry.findTokens(subject, 'uid-t')).toHaveLength(3);
  const other = { ...subject, name: 'other' };
  await registry.mintToken(other, world.mint(appId));
  world.now += 2 * 86_400_000;
  await registry.mintToken(other, world.mint(appId, { state: 'Pending' }));
  expect(await registry.findTokens(subject, 'uid-t')).toHaveLength(3);
  await next({ state: 'Pending' });
  expect((await registry.findTokens(subject, 'uid-t')).map(({ state }) => state)).toEqual([
    'Pending',
    'Active',
    'Retiring',
  ]);
});

test('one Active token for an identity, also when two mint at once', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const results = await Promise.allSettled([
    registry.mintToken(subject, world.mint(appId)),
    registry.mintToken(subject, world.mint(appId)),
  ]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(await registry.findTokens(subject, 'uid-t')).toHaveLength(1);
});

test('a later object of the same name answers for what is alive, not for what was revoked before it, unless it is asked for', async () => {
  const { registry } = await world.lead();
  const appId = await appOf(registry);
  const dead = tokenHash((await registry.mintToken(subject, world.mint(appId))).reveal());
  await registry.revokeTokens(subject, [dead], 'deleted');
  const alive = tokenHash((await registry.mintToken(subject, world.mint(appId))).reveal());
  expect((await registry.findTokens(subject, 'uid-other')).map(({ sha256 }) => sha256)).toEqual([alive]);
  for (const uid of ['uid-t', undefined])
    expect((await registry.findTokens(subject, uid)).map(({ sha256 }) => sha256)).toEqual([alive, dead]);
});
