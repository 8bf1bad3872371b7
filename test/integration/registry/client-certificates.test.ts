import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEntry } from '#crds/directory/entry.ts';
import type { CertificateRow, RegisterCertificate } from '#operator/registry/certificate-registry.ts';
import type { Registry } from '#operator/registry/registry.ts';
import type { Subject } from '#operator/registry/subject.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { NO_HEADERS, NOW, RegistryWorld } from './registry-world.ts';

// What the port (operator/registry/certificate-registry.ts) promises, of the adapter and a real PostgreSQL.

const DAY = 86_400_000;
const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const shop: Subject = { namespace: 'shop', name: 'checkout', uid: 'uid-app' };
const billing: Subject = { namespace: 'shop', name: 'billing', uid: 'uid-1' };
const other: Subject = { namespace: 'shop', name: 'other', uid: 'uid-2' };
const stranger: Subject = { namespace: 'elsewhere', name: 'billing', uid: 'uid-3' };

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.create();
});
afterEach(() => world[Symbol.asyncDispose]());

const lead = async (installation?: string): Promise<Registry> => (await world.lead(installation)).registry;
const appOf = async (registry: Registry, subject: Subject = shop): Promise<string> => {
  await registry.registerApp(subject, DEFAULT_POLICY, NO_HEADERS);
  return (await registry.findApp(subject, subject.uid))?.appId ?? expect.fail('not registered');
};
const register = (appId: string, sha256: string, more: Partial<RegisterCertificate> = {}): RegisterCertificate => ({
  appId,
  sha256,
  notAfter: NOW + 30 * DAY,
  retire: [],
  end: [],
  ...more,
});
/** What the relays are told: the body of each certificate's entry, by key. */
const published = async (): Promise<Record<string, unknown>> => {
  const rows = await world.query(`SELECT key, text FROM entry WHERE key LIKE 'certificate/%' ORDER BY key`);
  return Object.fromEntries(
    rows.map(({ key, text }) => {
      const read = readEntry(world.rings.directory, String(text));
      return [key, read.kind === 'authentic' ? read.entry.body : read.kind];
    }),
  );
};
const states = async (
  registry: Registry,
  subject: Subject = billing,
): Promise<Record<string, CertificateRow['state']>> =>
  Object.fromEntries((await registry.findCertificates(subject)).map(({ sha256, state }) => [sha256, state]));
const rowOf = async (registry: Registry, sha256: string, subject = billing): Promise<CertificateRow | undefined> =>
  (await registry.findCertificates(subject)).find((row) => row.sha256 === sha256);

test('register, renew, end: one revision each, and exactly the live ones are published', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  expect(await registry.findCertificates(billing)).toEqual([]);
  await registry.registerCertificate(billing, register(appId, A));
  const first = (await rowOf(registry, A)) ?? expect.fail('not there');
  expect(first).toMatchObject({
    appId,
    objectUid: 'uid-1',
    state: 'Active',
    notAfter: NOW + 30 * DAY,
    changedAt: NOW,
  });
  const body = { appId, namespace: 'shop', name: 'billing', notAfter: NOW + 30 * DAY };
  expect(await published()).toEqual({ [`certificate/${appId}/${A}`]: body });

  world.now += 1_000;
  await registry.registerCertificate(billing, register(appId, B, { notAfter: null, retire: [A] }));
  expect(await registry.findCertificates(billing)).toMatchObject([
    { sha256: B, state: 'Active', notAfter: null, revision: first.revision + 1 },
    // Nothing that is published of it has changed.
    { sha256: A, state: 'Retiring', revision: first.revision },
  ]);
  expect(Object.keys(await published())).toHaveLength(2);

  await registry.registerCertificate(billing, register(appId, C, { end: [A, B] }));
  expect(await states(registry)).toEqual({ [A]: 'Ended', [B]: 'Ended', [C]: 'Active' });
  for (const sha256 of [A, B, C]) expect(await rowOf(registry, sha256)).toMatchObject({ revision: first.revision + 2 });
  expect(Object.keys(await published())).toEqual([`certificate/${appId}/${C}`]);

  await registry.endCertificates(billing, [{ appId, sha256: C }], 'Revoked', 'spec.revoked');
  expect(await states(registry)).toMatchObject({ [C]: 'Revoked' });
  expect(await published()).toEqual({});
  expect((await world.query('SELECT action FROM audit ORDER BY id')).map(({ action }) => action)).toEqual([
    'app.register',
    'certificate.register',
    'certificate.register',
    'certificate.register',
    'certificate.end',
  ]);
});

test('the end of a certificate changes with the same fingerprint', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A));
  await registry.registerCertificate(billing, register(appId, A, { notAfter: NOW - 1 }));
  expect(await published()).toMatchObject({ [`certificate/${appId}/${A}`]: { notAfter: NOW - 1 } });
  expect(await registry.findCertificates(billing)).toHaveLength(1);
});

test('a fingerprint belongs to one object of an app, also once it is revoked, until that object lets go; other apps do not care', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  const second = await appOf(registry, { ...shop, name: 'second' });
  await registry.registerCertificate(billing, register(appId, A));
  const held = { namespace: 'shop', name: 'billing' };
  const taken = { code: 'RegistryConflict', quiet: true };
  expect(await registry.findCertificateHolder(appId, A)).toEqual({ ...held, state: 'Active' });
  expect(await registry.findCertificateHolder(second, A)).toBeUndefined();
  await expect(registry.registerCertificate(other, register(appId, A))).rejects.toMatchObject(taken);
  await registry.registerCertificate(other, register(second, A));
  expect(Object.keys(await published())).toHaveLength(2);

  await registry.endCertificates(billing, [{ appId, sha256: A }], 'Revoked', 'spec.revoked');
  expect(await registry.findCertificateHolder(appId, A)).toEqual({ ...held, state: 'Revoked' });
  await expect(registry.registerCertificate(other, register(appId, A))).rejects.toMatchObject(taken);
  const { revision } = (await rowOf(registry, A)) ?? expect.fail('not there');

  await registry.endCertificates(billing, [{ appId, sha256: A }], 'Ended', 'deleted');
  // It was out of the directory already.
  expect(await rowOf(registry, A)).toMatchObject({ state: 'Ended', revision });
  expect(await registry.findCertificateHolder(appId, A)).toBeUndefined();
  await registry.registerCertificate(other, register(appId, A));
  expect(await published()).toMatchObject({ [`certificate/${appId}/${A}`]: { name: 'other' } });
});

test('what was revoked or ended works again only when its object registers it', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A));
  await registry.endCertificates(billing, [{ appId, sha256: A }], 'Revoked', 'spec.revoked');
  await registry.registerCertificate(billing, register(appId, B, { retire: [A], end: [A] }));
  expect(await states(registry)).toEqual({ [A]: 'Revoked', [B]: 'Active' });
  await registry.registerCertificate({ ...billing, uid: 'uid-9' }, register(appId, A, { end: [B] }));
  expect(await states(registry)).toEqual({ [A]: 'Active', [B]: 'Ended' });
  expect(await rowOf(registry, A)).toMatchObject({ objectUid: 'uid-9' });
  expect(Object.keys(await published())).toEqual([`certificate/${appId}/${A}`]);
});

test('however many ended after it was registered, what is in the directory is found', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A));
  await world.query(
    `INSERT INTO certificate SELECT (jsonb_populate_record(certificate, jsonb_build_object('sha256', encode(sha256(n::text::bytea), 'hex'),
            'state', 'Ended', 'created_at', created_at + n * interval '1 second'))).*
       FROM certificate, generate_series(1, 1000) AS n`,
  );
  expect((await registry.findCertificates(billing))[0]).toMatchObject({ sha256: A, state: 'Active' });
});

test('of two that register one fingerprint at once, one does, and the other is told to look again', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  const results = await Promise.allSettled(
    [billing, other].map((subject) => registry.registerCertificate(subject, register(appId, A))),
  );
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'RegistryConflict' } });
});

test('what is over for more than a day is forgotten, and nothing that could still be presented', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A, { notAfter: NOW + DAY }));
  await registry.registerCertificate(billing, register(appId, B, { notAfter: null, end: [A] }));
  await registry.registerCertificate(billing, register(appId, C, { end: [B] }));
  expect(Object.keys(await states(registry))).toHaveLength(3);
  world.now = NOW + 2 * DAY + 1;
  await registry.registerCertificate(billing, register(appId, C));
  expect(await states(registry)).toEqual({ [B]: 'Ended', [C]: 'Active' });
  // One that is in the directory is not forgotten, however long it is over: it has to be taken out first.
  world.now += 60 * DAY;
  await registry.registerCertificate(billing, register(appId, A, { retire: [C] }));
  expect(await states(registry)).toMatchObject({ [C]: 'Retiring', [A]: 'Active' });
});

test('an app that is purged takes its certificates with it', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A));
  await registry.retireApp(shop, appId, 'Delete');
  await expect(registry.registerCertificate(billing, register(appId, B))).rejects.toMatchObject({
    code: 'AppNotRegistered',
    quiet: true,
  });
  expect(await registry.purgeApps(world.now + 1)).toEqual([appId]);
  expect(await published()).toEqual({});
  expect(await registry.findCertificates(billing)).toEqual([]);
});

test('no object changes a certificate of another identity, and none gets into an app of another namespace', async () => {
  const registry = await lead();
  const appId = await appOf(registry);
  await registry.registerCertificate(billing, register(appId, A));
  const state = async (): Promise<unknown> => [await world.query('SELECT * FROM certificate'), await published()];
  const before = await state();
  const named = [{ appId, sha256: A }];
  expect(await registry.findCertificates(stranger)).toEqual([]);
  for (const subject of [stranger, other]) {
    await registry.endCertificates(subject, named, 'Revoked', 'test');
    await registry.registerCertificate(subject, register(appId, A, { end: [A], retire: [A] })).catch(() => undefined);
  }
  await registry.registerCertificate(stranger, register(appId, B)).catch(() => undefined);
  expect(await state()).toEqual(before);
  const elsewhere = await lead('elsewhere');
  expect(await elsewhere.findCertificates(billing)).toEqual([]);
  await elsewhere.endCertificates(billing, named, 'Revoked', 'test');
  await elsewhere.registerCertificate(billing, register(appId, B)).catch(() => undefined);
  expect(await state()).toEqual(before);
});

test('a deposed leader changes nothing', async () => {
  const old = await lead();
  const appId = await appOf(old);
  await old.registerCertificate(billing, register(appId, A));
  await lead();
  const attempts = [
    () => old.registerCertificate(billing, register(appId, B, { end: [A] })),
    () => old.endCertificates(billing, [{ appId, sha256: A }], 'Revoked', 'test'),
  ];
  for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'not_leading' });
  expect(await states(old)).toEqual({ [A]: 'Active' });
});
