import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Enforcement } from '#operator/directory/enforcement-watch.ts';
import { createKindReconciles, type KindReconciles } from '#operator/kind-reconciles.ts';
import { OldCredentials } from '#operator/rotation/old-credentials.ts';
import { openFolderWorld, type RunningFolderWorld } from '#test/parts/folder-world.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { registryDatabase } from '#test/parts/registry-database.ts';

// A ClientCertificate whose fingerprint another one has is looked at as soon as that one lets it go, and nobody else is.

const NAMESPACE = 'shop';
const [SHARED, OTHER] = ['ab'.repeat(32), 'cd'.repeat(32)] as const;
const apiVersion = 'relay-operator.dev/v1alpha1';
const url = 'https://relay.example.com';
const enforcement: Enforcement = {
  view: () => ({ head: { epoch: 0, revision: Number.MAX_SAFE_INTEGER }, members: [] }),
  reached: () => Promise.resolve(),
  onChange: () => () => {},
};

let stack: AsyncDisposableStack;
let running: RunningFolderWorld;
let folder: string;
let kinds: KindReconciles;
let now: number;
/** In the order in which they were woken. */
let woken: string[];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const database = stack.use(await registryDatabase());
  const { path } = stack.use(await temporaryDirectory('certificate-holders'));
  folder = join(path, 'manifests');
  await mkdir(folder);
  now = Date.UTC(2027, 0, 1);
  running = stack.use(await openFolderWorld(folder, join(path, 'data'), () => now));
  const { registry } = await database.lead({ now: () => now });
  kinds = createKindReconciles({
    world: running.world,
    registry,
    enforcement,
    uses: { knownUntil: () => null, of: () => Promise.resolve(new Map()) },
    oldCredentials: new OldCredentials(new MetricsRegistry()),
    earlyStatuses: { written: () => {} },
    endpoints: { public: url, internal: url },
    mail: false,
    allowedIssuers: [],
    now: () => now,
  });
  woken = [];
  stack.defer(kinds.certificate.holderWaits.start((key) => woken.push(key)));

  await declare('RelayApp', 'checkout', {});
  await kinds.app.reconcile(`${NAMESPACE}/checkout`, context);
  await declare('ClientCertificate', 'first', certificate(SHARED));
  await declare('ClientCertificate', 'unconcerned', certificate('ef'.repeat(32)));
  await declare('ClientCertificate', 'rival', certificate(SHARED));
  for (const name of ['first', 'unconcerned', 'rival']) await reconciled(name);
});
afterEach(() => stack.disposeAsync());

const context = { signal: new AbortController().signal, log: pino({ level: 'silent' }), reconcileId: 'test' };
const certificate = (sha256: string, more: object = {}): object => ({
  appRef: { name: 'checkout' },
  fingerprint: { sha256 },
  ...more,
});
const declare = async (kind: string, name: string, spec: object): Promise<void> => {
  const manifest = { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec };
  await writeFile(join(folder, `${kind}-${name}.yaml`), JSON.stringify(manifest));
  await running.look();
};
const look = (name: string) => kinds.certificate.reconcile(`${NAMESPACE}/${name}`, context);
/** The reason of its condition Ready, afterwards. */
const reconciled = async (name: string): Promise<string | undefined> => {
  await look(name);
  const { conditions } = running.world.certificates.get({ namespace: NAMESPACE, name })?.status ?? {};
  return conditions?.find(({ type }) => type === 'Ready')?.reason;
};

describe('revoked before anything was registered for it', () => {
  const FREE = '1a'.repeat(32);
  const enforcedOf = (name: string): string | undefined =>
    running.world.certificates
      .get({ namespace: NAMESPACE, name })
      ?.status?.conditions?.find(({ type }) => type === 'Enforced')?.reason;

  test('is looked at again when another object registers it', async () => {
    await declare('ClientCertificate', 'gone', certificate(FREE, { revoked: true }));
    const key = `${NAMESPACE}/gone`;
    await reconciled('gone');
    expect(enforcedOf('gone')).not.toBe('Conflict');
    await declare('ClientCertificate', 'other', certificate(OTHER));
    await reconciled('other');
    expect(woken).toEqual([]);
    await declare('ClientCertificate', 'taker', certificate(FREE));
    await reconciled('taker');
    expect(woken).toEqual([key]);
    await reconciled('gone');
    expect(enforcedOf('gone')).toBe('Conflict');
  });

  test('is looked at once more a moment later, for somebody may have registered it between look and note', async () => {
    await declare('ClientCertificate', 'gone', certificate(FREE, { revoked: true }));
    await reconciled('gone');
    await declare('ClientCertificate', 'gone', certificate('2b'.repeat(32), { revoked: true }));
    const looks = [await look('gone'), await look('gone')];
    expect(looks).toEqual([
      { kind: 'requeueAfter', ms: 1_000 },
      { kind: 'requeueAfter', ms: 60_000 },
    ]);
  });
});

test('while its holder keeps it, it waits', async () => {
  const reasons = await Promise.all(['first', 'unconcerned', 'rival'].map(reconciled));
  expect(reasons).toEqual(['Reconciled', 'Reconciled', 'Conflict']);
  expect(woken).toEqual([]);
});

test('its holder is deleted', async () => {
  await rm(join(folder, 'ClientCertificate-first.yaml'));
  await running.look();
  now += 60_000;
  await running.look();
  await reconciled('first');
  expect(woken).toEqual(['shop/rival']);
  expect(await reconciled('rival')).toBe('Reconciled');
});

test('its holder names another one', async () => {
  await declare('ClientCertificate', 'unconcerned', certificate('fe'.repeat(32)));
  expect(await reconciled('unconcerned')).toBe('Reconciled');
  expect(woken).toEqual([]);
  await declare('ClientCertificate', 'first', certificate(OTHER));
  expect(await reconciled('first')).toBe('Reconciled');
  expect(woken).toEqual(['shop/rival']);
  expect(await reconciled('rival')).toBe('Reconciled');
});

test('its holder is revoked, and keeps it; after that it waits on', async () => {
  await declare('ClientCertificate', 'first', certificate(SHARED, { revoked: true }));
  expect(await reconciled('first')).toBe('Revoked');
  expect(await reconciled('rival')).toBe('Conflict');
  woken = [];
  await declare('ClientCertificate', 'first', certificate(OTHER));
  await reconciled('first');
  expect(woken).toEqual(['shop/rival']);
});

test('what it does not wait for any more wakes it no more', async () => {
  await declare('ClientCertificate', 'rival', certificate(OTHER));
  expect(await reconciled('rival')).toBe('Reconciled');
  await declare('ClientCertificate', 'first', certificate(SHARED, { revoked: true }));
  await reconciled('first');
  expect(woken).toEqual([]);
});
