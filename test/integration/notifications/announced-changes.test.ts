import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tokenHash } from '#crds/token-format.ts';
import type { Announcement } from '#operator/notifications/announcement.ts';
import type { AppRow } from '#operator/registry/app-registry.ts';
import type { RegisterCertificate } from '#operator/registry/certificate-registry.ts';
import type { Registry } from '#operator/registry/registry.ts';
import type { Subject } from '#operator/registry/subject.ts';
import type { MintToken } from '#operator/registry/token-registry.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { registryDatabase, type RegistryDatabase } from '#test/parts/registry-database.ts';

// What the methods that rotate and end credentials announce, of a real PostgreSQL: with the change, or not at all.

const NOW = Date.parse('2027-02-22T12:00:00Z');
const shop: Subject = { namespace: 'shop', name: 'checkout', uid: 'uid-1' };
const ci: Subject = { namespace: 'shop', name: 'ci', uid: 'uid-2' };
const STAGE = { rotates: 'KeyAndSecret', imported: null, reason: 'request', request: null } as const;
const TIMES = { overlap: 1_000, deadline: 2_000 };
const FOREVER = { expiresAt: null, graceUntil: null };
/** Named by `credentialId`, which is all that matters here. */
const dying = (credentialId: string): Announcement => ({
  occasion: {
    kind: 'RelayToken',
    namespace: 'shop',
    name: 'ci',
    appId: '1',
    credentialId,
    secretName: 'ci-token',
    what: 'DiedInUse',
    why: 'Revoked',
    at: NOW,
    use: { lastUsedAt: NOW, requests: 1, client: null },
  },
  to: ['platform@example.com'],
});

describe('what is announced with a change', () => {
  let database: RegistryDatabase;
  let registry: Registry;
  let appId: string;
  beforeEach(async () => {
    database = await registryDatabase();
    ({ registry } = await database.lead({ channels: { mail: true, webhook: false }, now: () => NOW }));
    await registry.registerApp(shop, DEFAULT_POLICY, new Map());
    ({ appId } = await app());
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const app = async (): Promise<AppRow> => {
    const row = await registry.findApp(shop, shop.uid);
    if (row === undefined) throw new Error('not registered');
    return row;
  };
  const keyIn = async (state: 'Pending' | 'Retiring'): Promise<string> =>
    (await app()).keys.find((key) => key.state === state)?.id ?? 'none';
  const announced = async (): Promise<string[]> =>
    (
      await database.pool.query<{ id: string }>(
        `SELECT detail ->> 'credentialId' AS id FROM occasion JOIN notification ON occasion.key = notification.occasion
          WHERE recipient = 'platform@example.com' ORDER BY 1`,
      )
    ).rows.map(({ id }) => id);
  const mint = (more: Partial<MintToken> = {}): Promise<string> =>
    registry
      .mintToken(ci, {
        appId,
        environment: 'Live',
        policy: { scopes: null, rate: null },
        state: 'Active',
        expiresAt: null,
        at: NOW,
        rotateRequest: null,
        retire: [],
        revoke: [],
        ...more,
      })
      .then((token) => tokenHash(token.reveal()));
  const idOf = async (sha256: string): Promise<string> =>
    (await registry.findTokens(ci, ci.uid)).find((row) => row.sha256 === sha256)?.id ?? 'none';

  test('of keys: promoted, used beyond the overlap, ended, gone with the app; and why a key was made is remembered', async () => {
    await registry.stageKey(shop, appId, STAGE);
    const pending = await keyIn('Pending');
    expect((await app()).keys.map(({ cause }) => cause)).toEqual([null, 'request']);
    await registry.promoteKey(shop, appId, pending, TIMES, [dying('promoted')]);
    await expect(registry.promoteKey(shop, appId, pending, TIMES, [dying('again')])).rejects.toMatchObject({
      quiet: true,
    });
    const old = await keyIn('Retiring');
    await registry.noteKeyInUse(shop, appId, 'nobody', [dying('of-nobody')]);
    await registry.noteKeyInUse(shop, appId, old, [dying('in-use')]);
    await registry.endKey(shop, appId, old, true, [dying('ended')]);
    await expect(registry.endKey(shop, appId, old, true, [dying('again')])).rejects.toMatchObject({ quiet: true });
    await registry.retireApp(shop, appId, 'Delete', [dying('retired')]);
    expect(await announced()).toEqual(['ended', 'in-use', 'promoted', 'retired']);
  });

  test('of tokens: only of those that the change really concerns', async () => {
    const first = await mint();
    const of = async (sha256: string): Promise<Announcement> => dying(await idOf(sha256));
    const retire = [{ sha256: first, expiresAt: NOW + 1_000, graceUntil: null }];
    const announce = [await of(first), dying('of-nobody')];
    const second = await mint({ retire, announce });
    expect(await announced()).toEqual([await idOf(first)]);

    const third = await mint({ state: 'Pending' });
    const promote = { sha256: third, at: NOW, rotateRequest: null, revoke: [] };
    const replaced = [{ sha256: second, ...FOREVER }];
    await registry.promoteToken(ci, { ...promote, retire: replaced, announce: [await of(second)] });
    await registry.promoteToken(ci, { ...promote, retire: replaced, announce: [await of(third)] });
    expect((await announced()).toSorted()).toEqual([await idOf(first), await idOf(second)].toSorted());

    await registry.revokeTokens(ci, [third], 'test', [await of(third)]);
    expect(await announced()).toHaveLength(3);
    await registry.setTokenEnd(ci, third, { ...FOREVER, final: false, announce: [dying('revoked-already')] });
    await registry.expireTokens(ci, [third], [dying('revoked-already')]);
    expect(await announced()).toHaveLength(3);
    await registry.setTokenEnd(ci, first, { expiresAt: NOW, graceUntil: null, final: true, announce: [dying('end')] });
    expect(await announced()).toContain('end');
  });

  test('of tokens that expire', async () => {
    const first = await mint();
    const id = await idOf(first);
    await registry.expireTokens(ci, [first], [dying(id)]);
    expect(await announced()).toEqual([]);
    await mint({ retire: [{ sha256: first, expiresAt: NOW, graceUntil: null }] });
    await registry.expireTokens(ci, [first], [dying(id)]);
    expect(await announced()).toEqual([id]);
  });

  test('of certificates: only of those that the change really concerns, and once', async () => {
    const billing: Subject = { namespace: 'shop', name: 'billing', uid: 'uid-3' };
    const [first, second, third, never] = ['a1'.repeat(32), 'b2'.repeat(32), 'c3'.repeat(32), 'd4'.repeat(32)] as const;
    const register = (sha256: string, more: Partial<RegisterCertificate>): Promise<void> =>
      registry.registerCertificate(billing, { appId, sha256, notAfter: NOW + 1_000, retire: [], end: [], ...more });
    const end = (sha256: string, state: 'Revoked' | 'Ended'): Promise<void> =>
      registry.endCertificates(billing, [{ appId, sha256 }], state, 'test', [dying(sha256), dying(never)]);
    await register(first, { announce: [dying(never)] });
    expect(await announced()).toEqual([]);
    await register(second, { retire: [first], announce: [dying(first), dying(never)] });
    expect(await announced()).toEqual([first]);
    await register(third, { end: [second], announce: [dying(second), dying(never)] });
    expect(await announced()).toEqual([first, second]);
    await end(third, 'Revoked');
    expect(await announced()).toEqual([first, second, third]);

    // Out of the directory already: told of nobody, and nothing twice.
    await database.pool.query('DELETE FROM occasion');
    await end(third, 'Ended');
    await end(second, 'Ended');
    expect(await announced()).toEqual([]);
    await end(first, 'Ended');
    await end(first, 'Ended');
    expect(await announced()).toEqual([first]);
  });

  test('a deposed leader announces nothing', async () => {
    const deposed = registry;
    ({ registry } = await database.lead({ channels: { mail: true, webhook: false }, now: () => NOW }));
    await expect(deposed.retireApp(shop, appId, 'Delete', [dying('x')])).rejects.toMatchObject({ code: 'not_leading' });
    expect(await announced()).toEqual([]);
  });
});
