import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryCertManager } from '#operator/cert-manager/memory-cert-manager.ts';
import { parseAllowedIssuers } from '#operator/client-certificate/allowed-issuers.ts';
import type { Enforcement } from '#operator/directory/enforcement-watch.ts';
import { createKindReconciles, type KindReconciles } from '#operator/kind-reconciles.ts';
import type { CredentialUses } from '#operator/registry/credential-use.ts';
import { OldCredentials } from '#operator/rotation/old-credentials.ts';
import { CERTIFICATE_NAME_ANNOTATION, type CertManager } from '#operator/world/cert-manager.ts';
import { certificateAuthority, fingerprintOf } from '#test/parts/certificate.ts';
import { openFolderWorld } from '#test/parts/folder-world.ts';
import { Killed, Killer } from '#test/parts/killer.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { registryDatabase, type RegistryDatabase } from '#test/parts/registry-database.ts';

// The life of a client certificate, of each source: registered, replaced or renewed, revoked, brought back, deleted. The operator is killed
// before and after every call that changes something, and starts again; every station of the life is as if it had not been, and so is what
// people are told. The registry is PostgreSQL, the world a folder, cert-manager its twin, which survives the operator.
// Long, because the table of stations says what the one test below it runs through.

const MINUTE = 60_000;
const DAY = 86_400_000;
/** Whole seconds, as in a certificate. */
const START = Math.floor(Date.now() / 1_000) * 1_000;
const NAMESPACE = 'shop';
const apiVersion = 'relay-operator.dev/v1alpha1';
const log = pino({ level: 'silent' });
const endpoints = { public: 'https://relay.example.com', internal: 'https://relay.example.com' };
/** Everything is published, and no relay runs that had to be waited for. */
const enforcement: Enforcement = {
  view: () => ({ head: { epoch: 0, revision: Number.MAX_SAFE_INTEGER }, members: [] }),
  reached: () => Promise.resolve(),
  onChange: () => () => {},
};

const authority = certificateAuthority();
const made = (days: number) => {
  const { cert } = authority.issueUntil(START + days * DAY, 'billing');
  return { cert, sha256: fingerprintOf({ cert }), notAfter: START + days * DAY };
};
const CERTIFICATES = { first: made(10), second: made(90), third: made(91) };
type Which = keyof typeof CERTIFICATES;
const nameOf = (sha256: string): string =>
  Object.entries(CERTIFICATES).find(([, each]) => each.sha256 === sha256)?.[0] ?? sha256;

const SOURCES = ['fingerprint', 'pem', 'secretRef', 'issue'] as const;
type Source = (typeof SOURCES)[number];

/** What is the same, wherever the operator was killed. */
type Station = {
  readonly at: string;
  readonly ready: string | undefined;
  /** As the status says. */
  readonly fingerprints: readonly string[];
  /** What the relays accept. */
  readonly published: readonly string[];
  readonly rows: readonly string[];
  /** What cert-manager was asked for, and what came of it. */
  readonly issued: string;
};

const NOTHING = 'no Certificate, no Secret';
const BOTH = 'a Certificate, a Secret';
const revoked = (which: Which) => ({
  at: 'revoked',
  ready: 'Revoked',
  fingerprints: [`${which} Revoked`],
  published: [],
});
const deleted = { at: 'deleted', ready: undefined, fingerprints: [], published: [] };
const one = (at: string, which: Which) => ({
  at,
  ready: 'Reconciled',
  fingerprints: [`${which} Active`],
  published: [which],
});

/** Of one that was made elsewhere: an edit replaces at once. */
const DECLARED = {
  calls: [
    'addFinalizer registerCertificate writeStatus announce',
    'registerCertificate writeStatus',
    'endCertificates writeStatus',
    'registerCertificate writeStatus',
    'endCertificates removeFinalizer',
  ].join(' '),
  life: {
    stations: [
      { ...one('registered', 'first'), rows: ['first Active'], issued: NOTHING },
      { ...one('soon to expire', 'first'), rows: ['first Active'], issued: NOTHING },
      { ...one('replaced', 'second'), rows: ['first Ended', 'second Active'], issued: NOTHING },
      { ...revoked('second'), rows: ['first Ended', 'second Revoked'], issued: NOTHING },
      { ...one('brought back', 'second'), rows: ['second Active'], issued: NOTHING },
      { ...deleted, rows: ['second Ended'], issued: NOTHING },
    ] satisfies Station[],
    told: ['ExpiryUpcoming first', 'DiedInUse Replaced first', 'DiedInUse Revoked second', 'DiedInUse Deleted second'],
  },
};

/** Of one that cert-manager issues: old and new overlap, and a revoked one never comes back. */
const ISSUED = {
  calls: [
    'addFinalizer apply registerCertificate writeStatus',
    'registerCertificate writeStatus',
    'endCertificates writeStatus',
    'endCertificates delete delete writeStatus',
    'apply registerCertificate writeStatus',
    'endCertificates delete delete removeFinalizer',
  ].join(' '),
  life: {
    stations: [
      { ...one('registered', 'first'), rows: ['first Active'], issued: BOTH },
      {
        at: 'renewed',
        ready: 'Reconciled',
        fingerprints: ['second Active', 'first Retiring'],
        published: ['first', 'second'],
        rows: ['first Retiring', 'second Active'],
        issued: BOTH,
      },
      { ...one('the old one is over', 'second'), rows: ['first Ended', 'second Active'], issued: BOTH },
      { ...revoked('second'), rows: ['first Ended', 'second Revoked'], issued: NOTHING },
      {
        at: 'brought back',
        ready: 'Reconciled',
        fingerprints: ['third Active', 'second Revoked'],
        published: ['third'],
        rows: ['second Revoked', 'third Active'],
        issued: BOTH,
      },
      { ...deleted, rows: ['second Ended', 'third Ended'], issued: NOTHING },
    ] satisfies Station[],
    told: ['Rotated first', 'DiedInUse Deadline first', 'DiedInUse Revoked second', 'DiedInUse Deleted third'],
  },
};

function sourceSpec(source: Source, name: string, which: Which): object {
  const { sha256, notAfter, cert } = CERTIFICATES[which];
  switch (source) {
    case 'fingerprint':
      return { fingerprint: { sha256, notAfter: new Date(notAfter).toISOString().replace('.000Z', 'Z') } };
    case 'pem':
      return { certificate: { pem: cert } };
    case 'secretRef':
      return { certificate: { secretRef: { name } } };
    case 'issue':
      return { issue: { issuerRef: { name: 'internal-ca' } } };
  }
}

describe.each(SOURCES)('a client certificate by %s, whose operator is killed before and after every call', (source) => {
  const stack = new AsyncDisposableStack();
  let database: RegistryDatabase;
  let folder: string;
  let data: string;

  beforeAll(async () => {
    database = stack.use(await registryDatabase());
    const { path } = stack.use(await temporaryDirectory(`certificate-crashes-${source}`));
    [folder, data] = [join(path, 'manifests'), join(path, 'data')];
    await mkdir(folder);
  });
  afterAll(() => stack.disposeAsync());

  const publishedOf = async (appId: string): Promise<string[]> => {
    const { rows } = await database.pool.query<{ key: string }>('SELECT key FROM entry WHERE key LIKE $1 ORDER BY 1', [
      `certificate/${appId}/%`,
    ]);
    return rows.map(({ key }) => nameOf(key.slice(key.lastIndexOf('/') + 1))).toSorted();
  };

  /** Returns the stations of the life, what was told, and the calls that changed something. */
  const live = async (name: string, kill: Killer['at']) => {
    const killer = new Killer();
    let now = START;
    let world = await openFolderWorld(folder, data, () => now);
    const ref = { namespace: NAMESPACE, name };
    const secretName = `${name}-mtls`;
    const certManager = new MemoryCertManager(() => now);
    certManager.install();
    let appId = '';

    /** Everything is used all the time. */
    const uses: CredentialUses = {
      knownUntil: () => now,
      of: async () => {
        const use = { lastUsedAt: now - MINUTE, requests: 7, client: 'curl 8.5.0' };
        return new Map(Object.values(CERTIFICATES).map(({ sha256 }) => [sha256, use]));
      },
    };

    /** What cert-manager made goes only when nobody is accepted with it any more. */
    const isDead = async (): Promise<void> => {
      const { rows } = await database.pool.query<{ state: string }>(
        `SELECT state FROM certificate WHERE app_id = $1 AND state IN ('Active', 'Retiring')`,
        [appId],
      );
      expect({ living: rows, published: await publishedOf(appId) }).toEqual({ living: [], published: [] });
    };

    const start = async (): Promise<KindReconciles> => {
      const leader = await database.lead({ channels: { mail: true, webhook: false }, now: () => now });
      const { apps, tokens, secrets, certificates, recorder } = world.world;
      const guarded: CertManager = {
        state: () => certManager.state(),
        find: (of) => certManager.find(of),
        look: (of) => certManager.look(of),
        apply: (desired) => certManager.apply(desired),
        delete: async (certificate) => {
          await isDead();
          await certManager.delete(certificate);
        },
      };
      return createKindReconciles({
        world: {
          apps,
          tokens,
          certificates: killer.wrap(certificates, ['addFinalizer', 'removeFinalizer', 'writeStatus']),
          secrets: killer.wrap(secrets, ['delete']),
          certManager: killer.wrap(guarded, ['apply', 'delete']),
          recorder,
        },
        registry: killer.wrap(leader.registry, ['registerCertificate', 'endCertificates', 'announce']),
        enforcement,
        uses,
        oldCredentials: new OldCredentials(new MetricsRegistry()),
        earlyStatuses: { written: () => {} },
        endpoints,
        mail: true,
        allowedIssuers: parseAllowedIssuers('Issuer/*'),
        now: () => now,
      });
    };

    let kinds = await start();
    const context = { signal: new AbortController().signal, log, reconcileId: 'test' };
    /** Until it comes to rest, with another process wherever one is killed. */
    const settle = async (): Promise<void> => {
      for (;;) {
        try {
          await kinds.certificate.reconcile(`${NAMESPACE}/${name}`, context);
          return;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          now += 1_000;
          await world[Symbol.asyncDispose]();
          world = await openFolderWorld(folder, data, () => now);
          kinds = await start();
        }
      }
    };
    /** cert-manager does what it is asked for: this one, if it is asked. */
    const issues = async (which: Which): Promise<void> => {
      const certificate = await certManager.look(ref);
      if (certificate?.ownerUid === undefined) return;
      const { cert, notAfter } = CERTIFICATES[which];
      await world.world.secrets.apply({
        namespace: NAMESPACE,
        name: secretName,
        type: 'kubernetes.io/tls',
        labels: {},
        annotations: { [CERTIFICATE_NAME_ANNOTATION]: name },
        owner: { kind: 'ClientCertificate', name, uid: certificate.ownerUid },
        data: { 'tls.crt': cert, 'tls.key': 'nobody looks' },
      });
      certManager.report(ref, { ready: true, notAfter, trouble: null });
    };

    const app = {
      apiVersion,
      kind: 'RelayApp',
      metadata: ref,
      spec: { rotation: { notify: [`${name}@example.com`] } },
    };
    await writeFile(join(folder, `app-${name}.yaml`), JSON.stringify(app));
    const file = join(folder, `${name}.yaml`);
    const declare = async (which: Which, revoked: boolean): Promise<void> => {
      const spec = { appRef: { name }, ...sourceSpec(source, name, which), ...(revoked ? { revoked } : {}) };
      const manifests = [
        { apiVersion, kind: 'ClientCertificate', metadata: ref, spec },
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { ...ref, labels: { 'relay-operator.dev/referable': 'true' } },
          stringData: { 'tls.crt': CERTIFICATES[which].cert },
        },
      ];
      await writeFile(file, manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n'));
      await world.look();
    };
    const stations: Station[] = [];
    const station = async (at: string): Promise<void> => {
      const status = world.world.certificates.get(ref)?.status;
      const { rows } = await database.pool.query<{ sha256: string; state: string }>(
        'SELECT sha256, state FROM certificate WHERE app_id = $1 AND name = $2',
        [appId, name],
      );
      const secret = await world.world.secrets.readLive({ namespace: NAMESPACE, name: secretName });
      const certificate = await certManager.look(ref);
      stations.push({
        at,
        ready: status?.conditions?.find(({ type }) => type === 'Ready')?.reason,
        fingerprints: (status?.fingerprints ?? []).map(({ sha256, state }) => `${nameOf(sha256)} ${state}`),
        published: await publishedOf(appId),
        rows: rows.map(({ sha256, state }) => `${nameOf(sha256)} ${state}`).toSorted(),
        issued: `${certificate === undefined ? 'no' : 'a'} Certificate, ${secret === undefined ? 'no' : 'a'} Secret`,
      });
    };
    /** Time goes on, cert-manager does its part, and the operator settles before and after. */
    const reach = async (days: number, issued: Which): Promise<void> => {
      now = Math.max(now, START + days * DAY);
      await settle();
      await issues(issued);
      await settle();
    };

    await declare('first', false);
    await kinds.app.reconcile(`${NAMESPACE}/${name}`, context);
    ({ appId } =
      (
        await database.pool.query<{ appId: string }>(
          `SELECT app_id AS "appId" FROM app WHERE namespace = $1 AND name = $2`,
          [NAMESPACE, name],
        )
      ).rows[0] ?? expect.fail('the app is not registered'));
    killer.calls = [];
    killer.at = kill;

    await reach(0, 'first');
    await station('registered');
    if (source === 'issue') await reach(7, 'second');
    await reach(9.5, 'second');
    await station(source === 'issue' ? 'renewed' : 'soon to expire');
    if (source !== 'issue') await declare('second', false);
    await reach(source === 'issue' ? 10.1 : 9.6, 'second');
    await station(source === 'issue' ? 'the old one is over' : 'replaced');
    await declare('second', true);
    await reach(11, 'third');
    await station('revoked');
    await declare('second', false);
    await reach(12, 'third');
    await station('brought back');
    await rm(file);
    await world.look();
    now += MINUTE;
    await world.look();
    await settle();
    await station('deleted');
    expect(world.world.refs('ClientCertificate').filter((each) => each.name === name)).toEqual([]);

    const { rows: told } = await database.pool.query<{ what: string; why: string | null; id: string; to: string }>(
      `SELECT detail->>'what' AS what, detail->>'why' AS why, detail->>'credentialId' AS id, recipient AS to
         FROM occasion JOIN notification ON notification.occasion = occasion.key
        WHERE detail->>'name' = $1 ORDER BY announced_at, key`,
      [name],
    );
    await world[Symbol.asyncDispose]();
    expect(new Set(told.map(({ to }) => to))).toEqual(new Set([`${name}@example.com`]));
    return {
      calls: killer.calls,
      life: {
        stations,
        told: told.map(({ what, why, id }) => [what, ...(why === null ? [] : [why]), nameOf(id)].join(' ')),
      },
    };
  };

  test('every station is the same, and each occasion is told once', { timeout: 300_000 }, async () => {
    const whole = await live('whole', undefined);
    expect({ ...whole, calls: whole.calls.join(' ') }).toEqual(source === 'issue' ? ISSUED : DECLARED);
    for (let call = 1; call <= whole.calls.length; call += 1) {
      for (const when of ['before', 'after'] as const) {
        const label = `${when} ${whole.calls[call - 1]} (${call})`;
        const { life } = await live(`killed-${when}-${call}`, { call, when });
        expect({ label, ...life }).toEqual({ label, ...whole.life });
      }
    }
  });
});
