import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateEntryBody } from '#crds/directory/entry-body.ts';
import { readEntry } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { accessObjects, operatorServiceAccount, renderChart } from '#test/parts/chart.ts';
import { startInstallation, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant, type Declared } from '#test/parts/tenant.ts';

// Certificates that exist already, by fingerprint, PEM and Secret. Those that cert-manager issues: issued-certificates.test.ts.

const NAMESPACE = 'certified';
const SYSTEM = 'certified-system';

describeOnControlPlane('client certificates that exist', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const authority = certificateAuthority();
  let installation: Installation;
  let keyring: Keyring;

  beforeAll(async () => {
    for (const name of [NAMESPACE, SYSTEM]) await cluster.kubectlOk(['create', 'namespace', name]);
    const objects = await renderChart(cluster, { namespace: SYSTEM, values: { watchNamespaces: [NAMESPACE] } });
    await cluster.apply(accessObjects(objects));
    installation = await startInstallation({
      kubeconfig: await cluster.serviceAccountKubeconfig(SYSTEM, operatorServiceAccount(objects)),
      namespace: SYSTEM,
      watchNamespaces: [NAMESPACE],
    });
    keyring = Keyring.parse(`d1:${installation.keyMaterial[0] ?? ''}`);
    await tenant.apply(tenant.app('shop'), tenant.app('second'));
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  /** Fingerprints that the relays are told to accept for this object. */
  const published = async (name: string): Promise<string[]> => {
    const rows = await queryDatabase(
      installation.databaseUrl,
      `SELECT key, text FROM entry WHERE key LIKE 'certificate/%' ORDER BY key`,
    );
    return rows.flatMap(({ key, text }) => {
      const read = readEntry(keyring, String(text));
      const body = certificateEntryBody.parse(read.kind === 'authentic' ? read.entry.body : expect.fail(read.kind));
      return body.name === name ? [String(key).split('/')[2] ?? ''] : [];
    });
  };
  const sha256 = (pem: string): string => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
  const get = async (name: string): Promise<Declared> =>
    (await tenant.get('ClientCertificate', name)) ?? expect.fail(`no ${name}`);
  const enforced = (name: string) => tenant.condition('ClientCertificate', name, 'Enforced', { status: 'True' });
  const ready = (name: string, reason = 'Reconciled') =>
    tenant.condition('ClientCertificate', name, 'Ready', { reason });
  const publishes = (name: string, ...fingerprints: string[]): Promise<unknown> =>
    tenant.until(`${name} has ${fingerprints.length} fingerprints`, async () => {
      const found = await published(name);
      return found.length === fingerprints.length && fingerprints.every((one) => found.includes(one));
    });

  test('by fingerprint, in any spelling: enforced, changed, expired, gone', async () => {
    const spelled = `${'AB:'.repeat(31)}AB`;
    const plain = 'ab'.repeat(32);
    await tenant.apply(tenant.certificate('pinned', 'shop', { fingerprint: { sha256: spelled } }));
    await enforced('pinned');
    expect(await published('pinned')).toEqual([plain]);
    expect((await get('pinned')).status?.fingerprints).toEqual([{ sha256: plain, state: 'Active' }]);
    await tenant.patch('clientcertificate/pinned', { spec: { fingerprint: { notAfter: '2026-01-01T00:00:00Z' } } });
    const { message } = await ready('pinned', 'Expired');
    expect(message).toContain('set a later spec.fingerprint.notAfter');
    await enforced('pinned');
    const columns = await tenant.kubectl('get', 'rcc', 'pinned', '--no-headers');
    expect(columns).toMatch(/^pinned\s+shop\s+False\s+True\s+2026-01-01T00:00:00Z/);
    await tenant.kubectl('delete', 'rcc', 'pinned', '--timeout=60s');
    expect(await published('pinned')).toEqual([]);
  });

  test('by PEM: an edit replaces at once, and a mistake in an edit is no kill switch', async () => {
    const [one, two] = [authority.issue('one').cert, authority.issue('two').cert];
    await tenant.apply(tenant.certificate('pem', 'shop', { certificate: { pem: one } }));
    await enforced('pem');
    expect(await published('pem')).toEqual([sha256(one)]);
    await tenant.patch('clientcertificate/pem', { spec: { certificate: { pem: two } } });
    await enforced('pem');
    expect(await published('pem')).toEqual([sha256(two)]);
    for (const [pem, reason] of [
      [two + authority.cert, 'CertificateChain'],
      [authority.cert, 'CertificateAuthority'],
      ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'CertificateUnreadable'],
    ] as const) {
      await tenant.patch('clientcertificate/pem', { spec: { certificate: { pem } } });
      const { message } = await ready('pem', reason);
      expect(message).toContain('spec.certificate.pem');
      await tenant.condition('ClientCertificate', 'pem', 'Stalled', { status: 'True' });
    }
    expect(await published('pem')).toEqual([sha256(two)]);
  });

  test('by Secret: only with the label for that; a change is followed, and what is lost stays in force', async () => {
    const [one, two] = [authority.issue('one').cert, authority.issue('two').cert];
    const secret = (cert: string, labels: object): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'partner', namespace: NAMESPACE, labels },
      stringData: { 'client.crt': cert },
    });
    const label = { 'relay-operator.dev/referable': 'true' };
    const certificate = { secretRef: { name: 'partner', key: 'client.crt' } };
    await tenant.apply(tenant.certificate('partner', 'shop', { certificate }));
    await ready('partner', 'SecretNotFound');
    await tenant.apply(secret(one, {}));
    await tenant.patch('clientcertificate/partner', { metadata: { annotations: { look: 'again' } } });
    const { message } = await ready('partner', 'SecretNotReferable');
    expect(message).toContain(`kubectl -n ${NAMESPACE} label secret partner relay-operator.dev/referable=true`);
    expect(await published('partner')).toEqual([]);
    await tenant.apply(secret(one, label));
    await publishes('partner', sha256(one));
    await tenant.apply(secret(two, label));
    await publishes('partner', sha256(two));
    await enforced('partner');
    await tenant.patch('clientcertificate/partner', { spec: { certificate: { secretRef: { key: 'tls.crt' } } } });
    await ready('partner', 'SecretKeyNotFound');
    await tenant.kubectl('delete', 'secret', 'partner');
    await ready('partner', 'SecretNotFound');
    expect(await published('partner')).toEqual([sha256(two)]);
  });

  test('one fingerprint: of one object in an app, of as many apps as there are; revoking does not hand it on, deleting does', async () => {
    const fingerprint = { sha256: 'cd'.repeat(32) };
    await tenant.apply(tenant.certificate('first', 'shop', { fingerprint }));
    await enforced('first');
    await tenant.apply(
      tenant.certificate('rival', 'shop', { fingerprint }),
      tenant.certificate('elsewhere', 'second', { fingerprint }),
    );
    await enforced('elsewhere');
    const { message } = await ready('rival', 'Conflict');
    expect(message).toContain('ClientCertificate first has this certificate');
    await tenant.patch('clientcertificate/first', { spec: { revoked: true } });
    await enforced('first');
    await ready('first', 'Revoked');
    expect((await get('first')).status?.fingerprints).toMatchObject([{ state: 'Revoked' }]);
    await tenant.patch('clientcertificate/rival', { metadata: { annotations: { look: 'again' } } });
    await ready('rival', 'Conflict');
    expect([await published('first'), await published('rival')]).toEqual([[], []]);
    expect(await published('elsewhere')).toEqual([fingerprint.sha256]);

    await tenant.patch('clientcertificate/first', { spec: { revoked: false } });
    await enforced('first');
    expect(await published('first')).toEqual([fingerprint.sha256]);
    await tenant.kubectl('delete', 'rcc', 'first', '--timeout=60s');
    await enforced('rival');
    expect(await published('rival')).toEqual([fingerprint.sha256]);
  });

  test('without its app it waits, and an app that is applied anew gets it', async () => {
    const fingerprint = { sha256: 'ef'.repeat(32) };
    await tenant.apply(tenant.certificate('early', 'later', { fingerprint }));
    await ready('early', 'AppNotFound');
    await tenant.apply(tenant.app('later'));
    await enforced('early');
    const before = (await get('early')).status?.appId;
    await tenant.kubectl('delete', 'relayapp', 'later', '--timeout=60s');
    await ready('early', 'AppNotFound');
    await tenant.apply(tenant.app('later'));
    await tenant.until('it is registered for the new app', async () => {
      const { status } = await get('early');
      return status?.appId !== undefined && status.appId !== before;
    });
    await enforced('early');
    expect(await published('early')).toEqual([fingerprint.sha256]);
  });

  test('at rest nothing is written, and nothing was forbidden', async () => {
    const versions = async (): Promise<string[]> =>
      (await tenant.list('clientcertificates')).map(({ metadata }) => metadata.resourceVersion);
    const before = await versions();
    await tenant.patch('clientcertificate/elsewhere', { metadata: { labels: { noticed: 'true' } } });
    await enforced('elsewhere');
    const after = await versions();
    expect(after.filter((version) => !before.includes(version))).toHaveLength(1);
    const said = installation.operators.map(({ process }) => process.output()).join('\n');
    expect(said).not.toMatch(/forbidden/i);
  });
});
