import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateEntryBody } from '#crds/directory/entry-body.ts';
import { readEntry } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { TestClient } from '#test/integration/relay/test-client.ts';
import { certManagerCrds, startCertManager } from '#test/parts/cert-manager.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { accessObjects, operatorServiceAccount, renderChart } from '#test/parts/chart.ts';
import { startInstallation, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { Tenant, type Declared } from '#test/parts/tenant.ts';

// `spec.issue` with cert-manager's own controllers. One story: it is not installed, is installed, and goes again. Tests build on each other.

const NAMESPACE = 'issued';
const SYSTEM = 'issued-system';

type Entry = { readonly sha256: string; readonly notAfter: number | null };

describeOnControlPlane('client certificates that cert-manager issues', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const stack = new AsyncDisposableStack();
  const authority = certificateAuthority();
  let installation: Installation;
  let keyring: Keyring;
  let crds: string;

  beforeAll(async () => {
    crds = await certManagerCrds();
    for (const name of [NAMESPACE, SYSTEM]) await cluster.kubectlOk(['create', 'namespace', name]);
    const objects = await renderChart(cluster, { namespace: SYSTEM, values: { watchNamespaces: [NAMESPACE] } });
    await cluster.apply(accessObjects(objects));
    // The first file of a run meets them just created: the operator would say that it cannot list them yet.
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    const { path } = stack.use(await temporaryDirectory('issued-certificates'));
    const { cert, key } = authority.issue('relay', 'IP:127.0.0.1');
    const file = { cert: join(path, 'tls.crt'), key: join(path, 'tls.key') };
    await writeFile(file.cert, cert);
    await writeFile(file.key, key, { mode: 0o600 });
    installation = stack.use(
      await startInstallation({
        kubeconfig: await cluster.serviceAccountKubeconfig(SYSTEM, operatorServiceAccount(objects)),
        namespace: SYSTEM,
        watchNamespaces: [NAMESPACE],
        relayEnv: { TLS_CERT_FILE: file.cert, TLS_KEY_FILE: file.key, TLS_CLIENT_CERTIFICATES: 'request' },
        operatorEnv: { ALLOWED_ISSUERS: 'Issuer/*,Issuer.example.com/*' },
      }),
    );
    keyring = Keyring.parse(`d1:${installation.keyMaterial[0] ?? ''}`);
    await tenant.apply(tenant.app('shop'));
  }, 600_000);

  afterAll(async () => {
    await stack.disposeAsync();
    // The control plane is everybody's: a file that runs later must find it without cert-manager.
    await cluster.kubectlOk(['delete', '-f', crds, '--ignore-not-found', '--timeout=250s']);
  });

  const published = async (name: string): Promise<Entry[]> => {
    const rows = await queryDatabase(
      installation.databaseUrl,
      `SELECT key, text FROM entry WHERE key LIKE 'certificate/%' ORDER BY key`,
    );
    return rows.flatMap(({ key, text }) => {
      const read = readEntry(keyring, String(text));
      const body = certificateEntryBody.parse(read.kind === 'authentic' ? read.entry.body : expect.fail(read.kind));
      return body.name === name ? [{ sha256: String(key).split('/')[2] ?? '', notAfter: body.notAfter }] : [];
    });
  };
  const fingerprints = async (name: string): Promise<string[]> => (await published(name)).map(({ sha256 }) => sha256);
  const leafOf = async (secret: string): Promise<X509Certificate | undefined> => {
    const text = (await tenant.secret(secret))?.data['tls.crt'];
    return text === undefined || text === '' ? undefined : new X509Certificate(text);
  };
  const sha256 = ({ raw }: X509Certificate): string => createHash('sha256').update(raw).digest('hex');
  const get = async (name: string): Promise<Declared> =>
    (await tenant.get('ClientCertificate', name)) ?? expect.fail(`no ${name}`);
  const enforced = (name: string) => tenant.condition('ClientCertificate', name, 'Enforced', { status: 'True' });
  const ready = (name: string, reason = 'Reconciled') =>
    tenant.condition('ClientCertificate', name, 'Ready', { reason });
  const issued = (name: string, issue: object = {}): object =>
    tenant.certificate(name, 'shop', { issue: { issuerRef: { name: 'ca' }, ...issue } });
  /** Waits until what is in the Secret is what the relays accept, alone or beside others, and returns its fingerprint. */
  const current = (name: string, secret = `${name}-mtls`, not?: string): Promise<string> =>
    tenant.until(`${name} is registered`, async () => {
      const leaf = await leafOf(secret);
      const found = leaf && sha256(leaf);
      return found !== undefined && found !== not && (await fingerprints(name)).includes(found) && found;
    });
  const certManager = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'cert-manager.io/v1',
    kind,
    metadata: { name, namespace: NAMESPACE },
    spec,
  });

  test('cert-manager is not installed: issue says so, and everything else works', async () => {
    await tenant.apply(
      issued('billing'),
      tenant.certificate('pinned', 'shop', { fingerprint: { sha256: 'ab'.repeat(32) } }),
    );
    const { message } = await ready('billing', 'CertManagerNotInstalled');
    expect(message).toContain('install it');
    await enforced('pinned');
    expect(installation.operators.map(({ process }) => process.output()).join('')).not.toMatch(
      /"resource":"certificate(s|requests)[^\n]*list or watch failed/,
    );
  });

  test('cert-manager is installed: it starts by itself; the certificate is registered once it is there', async () => {
    await cluster.kubectlOk(['apply', '--server-side', '-f', crds]);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    stack.use(await startCertManager(cluster, SYSTEM));
    // Its issuer is not there yet: in cert-manager's own words.
    const { message } = await tenant.until('the missing issuer is told', async () => {
      const found = (await get('billing')).status?.conditions?.find(({ type }) => type === 'Ready');
      return found?.reason === 'Issuing' && found.message.includes('not found') && found;
    });
    expect(message).toContain('cert-manager says of Certificate billing: Referenced "Issuer" not found');
    expect(await published('billing')).toEqual([]);

    await tenant.apply(
      certManager('Issuer', 'self', { selfSigned: {} }),
      certManager('Certificate', 'ca', {
        isCA: true,
        commonName: 'internal ca',
        secretName: 'ca',
        privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
        issuerRef: { name: 'self' },
      }),
      certManager('Issuer', 'ca', { ca: { secretName: 'ca' } }),
    );
    const fingerprint = await current('billing');
    await enforced('billing');
    const leaf = (await leafOf('billing-mtls')) ?? expect.fail('no certificate');
    expect(leaf.subject).toBe('CN=billing');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(leaf.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(await published('billing')).toEqual([{ sha256: fingerprint, notAfter: leaf.validToDate.getTime() }]);
    const { status } = await get('billing');
    const notAfter = leaf.validToDate.toISOString().replace('.000', '');
    expect(status).toMatchObject({ secretName: 'billing-mtls', expiresAt: notAfter });
    expect(status?.fingerprints).toEqual([{ sha256: fingerprint, state: 'Active', notAfter }]);
  });

  test('the Certificate is owned, and labels of users are neither on it nor on the Secret', async () => {
    await tenant.kubectl('label', 'rcc', 'billing', 'team=payments');
    const read = async () => JSON.parse(await tenant.kubectl('get', 'certificate', 'billing', '-o', 'json'));
    const { metadata, spec } = await read();
    expect(metadata.labels).toEqual({ 'relay-operator.dev/managed': 'true' });
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'ClientCertificate', name: 'billing', controller: true }]);
    expect(spec).toMatchObject({
      usages: ['client auth'],
      privateKey: { rotationPolicy: 'Always' },
      duration: '2160h0m0s',
    });
    expect((await tenant.secret('billing-mtls'))?.metadata.labels).not.toHaveProperty('team');
  });

  test('a Certificate that somebody edits is repaired', async () => {
    await tenant.apply(issued('edited'));
    await current('edited');
    const usages = async (): Promise<string> =>
      tenant.kubectl('get', 'certificate', 'edited', '-o', 'jsonpath={.spec.usages[*]}');
    await tenant.kubectl('patch', 'certificate', 'edited', '--type=merge', '-p', '{"spec":{"usages":["server auth"]}}');
    await tenant.until('the usages are back', async () => (await usages()) === 'client auth');
    await current('edited');
    await enforced('edited');
  });

  test('renewal: old and new both work, the old one to its own end', async () => {
    const old = await current('billing');
    const [before] = await published('billing');
    // As `cmctl renew` does it.
    const renew = {
      type: 'Issuing',
      status: 'True',
      reason: 'ManuallyTriggered',
      message: 'by a test',
      lastTransitionTime: new Date().toISOString(),
    };
    const certificate = JSON.parse(await tenant.kubectl('get', 'certificate', 'billing', '-o', 'json'));
    const conditions = [
      ...certificate.status.conditions.filter(({ type }: { type: string }) => type !== 'Issuing'),
      renew,
    ];
    await tenant.kubectl(
      'patch',
      'certificate',
      'billing',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: { conditions } }),
    );
    const renewed = await current('billing', 'billing-mtls', old);
    await enforced('billing');
    const after = await published('billing');
    expect(after.map(({ sha256: one }) => one)).toEqual(expect.arrayContaining([old, renewed]));
    expect(after.find(({ sha256: one }) => one === old)).toEqual(before);
    const { status } = await get('billing');
    expect(status?.fingerprints?.map(({ sha256: one, state }) => [one, state])).toEqual([
      [renewed, 'Active'],
      [old, 'Retiring'],
    ]);
    expect(await tenant.condition('ClientCertificate', 'billing', 'Ready', { status: 'True' })).toBeDefined();
  });

  test('a Secret that somebody deletes: another certificate, and the former one works on', async () => {
    await tenant.apply(issued('lost', { secretName: 'lost-and-found' }));
    const old = await current('lost', 'lost-and-found');
    await tenant.kubectl('delete', 'secret', 'lost-and-found');
    const next = await current('lost', 'lost-and-found', old);
    expect(await fingerprints('lost')).toEqual([old, next].toSorted());
    await tenant.patch('clientcertificate/lost', { spec: { issue: { secretName: 'renamed' } } });
    const last = await current('lost', 'renamed', next);
    await enforced('lost');
    await tenant.until('the former Secret is gone', async () => (await tenant.secret('lost-and-found')) === undefined);
    expect(await fingerprints('lost')).toContain(last);
  });

  test('revoked: every fingerprint, the Certificate and the Secret go; revoked no more: a new certificate, whatever comes back', async () => {
    const secret = (await tenant.secret('billing-mtls')) ?? expect.fail('no Secret');
    const dead = await fingerprints('billing');
    expect(dead).toHaveLength(2);
    await tenant.patch('clientcertificate/billing', { spec: { revoked: true } });
    await ready('billing', 'Revoked');
    await enforced('billing');
    expect(await published('billing')).toEqual([]);
    await tenant.until('Certificate and Secret are gone', async () => {
      const left = await tenant.kubectl(
        'get',
        'certificate/billing',
        'secret/billing-mtls',
        '--ignore-not-found',
        '-o',
        'name',
      );
      return left.trim() === '';
    });
    expect((await get('billing')).status?.fingerprints?.map(({ state }) => state)).toEqual(['Revoked', 'Revoked']);

    // A backup brings the Secret back, annotations and all.
    await tenant.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      type: secret.type,
      metadata: {
        name: 'billing-mtls',
        namespace: NAMESPACE,
        labels: { 'controller.cert-manager.io/fao': 'true' },
        annotations: {
          'cert-manager.io/certificate-name': 'billing',
          'cert-manager.io/issuer-name': 'ca',
          'cert-manager.io/issuer-kind': 'Issuer',
          'cert-manager.io/issuer-group': '',
        },
      },
      stringData: secret.data,
    });
    await tenant.patch('clientcertificate/billing', { spec: { revoked: false } });
    const fresh = await tenant.until('there is a new certificate', async () => {
      const found = await fingerprints('billing');
      return found.length === 1 && found[0];
    });
    expect(dead).not.toContain(fresh);
    await enforced('billing');
    expect(await current('billing')).toBe(fresh);
  });

  test('an issuer that the installation does not allow, and a Secret and a Certificate of somebody else', async () => {
    await tenant.apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'taken', namespace: NAMESPACE },
        stringData: { mine: '1' },
      },
      certManager('Certificate', 'theirs', {
        commonName: 'theirs',
        secretName: 'theirs',
        issuerRef: { name: 'nobody' },
      }),
      issued('public', { issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer' } }),
      issued('blocked', { secretName: 'taken' }),
      issued('theirs'),
    );
    const { message } = await ready('public', 'IssuerNotAllowed');
    expect(message).toContain(
      'does not allow ClusterIssuer/letsencrypt; whoever runs it can add it to the setting ALLOWED_ISSUERS',
    );
    for (const name of ['blocked', 'theirs']) await ready(name, 'Conflict');
    expect((await tenant.secret('taken'))?.data).toEqual({ mine: '1' });
    const theirs = JSON.parse(await tenant.kubectl('get', 'certificate', 'theirs', '-o', 'json'));
    expect(theirs.metadata.ownerReferences).toBeUndefined();
    expect(theirs.spec.issuerRef).toEqual({ name: 'nobody' });
    const made = await tenant.kubectl('get', 'certificates', '-o', 'name');
    expect(made).not.toMatch(/public|blocked/);
    await tenant.kubectl('delete', 'rcc', 'theirs', 'blocked', 'public', '--timeout=60s');
    await tenant.kubectl('get', 'certificate', 'theirs');
  });

  test('an issuer that refuses: its own words', async () => {
    // An external issuer, played by the test: cert-manager leaves its requests to whoever serves that group.
    await tenant.apply(issued('refused', { issuerRef: { name: 'strict', group: 'example.com' } }));
    const request = await tenant.until('there is a request', async () =>
      (await tenant.list('certificaterequests')).find(({ metadata }) => metadata.name.startsWith('refused-')),
    );
    const now = new Date().toISOString();
    const conditions = [
      { type: 'Approved', status: 'True', reason: 'test', message: 'approved', lastTransitionTime: now },
      {
        type: 'Ready',
        status: 'False',
        reason: 'Failed',
        message: 'policy: no certificates on Sundays',
        lastTransitionTime: now,
      },
    ];
    await tenant.kubectl(
      'patch',
      'certificaterequest',
      request.metadata.name,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: { conditions, failureTime: now } }),
    );
    const { message } = await ready('refused', 'IssuanceFailed');
    expect(message).toContain('policy: no certificates on Sundays');
    await tenant.condition('ClientCertificate', 'refused', 'Stalled', { status: 'True' });
  });

  test('deleted: the fingerprint is dead before the Certificate goes, and nothing is left', async () => {
    await current('lost', 'renamed');
    await tenant.kubectl('delete', 'rcc', 'lost', '--timeout=60s');
    expect(await published('lost')).toEqual([]);
    const left = await tenant.kubectl('get', 'certificate/lost', 'secret/renamed', '--ignore-not-found', '-o', 'name');
    expect(left.trim()).toBe('');
    const rows = await queryDatabase(
      installation.databaseUrl,
      `SELECT action FROM audit WHERE object = 'ClientCertificate ${NAMESPACE}/lost' ORDER BY id DESC LIMIT 1`,
    );
    expect(rows).toEqual([{ action: 'certificate.end' }]);
    // Applied again: another certificate.
    await tenant.apply(issued('lost', { secretName: 'renamed' }));
    await current('lost', 'renamed');
    await enforced('lost');
  });

  test('over the wire: let in with the issued certificate alone; deleted, every relay refuses it and its socket is closed', async () => {
    const access = { clientCertificates: { required: true } };
    await tenant.apply(
      tenant.app('vault', { access }),
      tenant.token('vault', 'vault'),
      tenant.certificate('door', 'vault', { issue: { issuerRef: { name: 'ca' } } }),
    );
    await current('door');
    await enforced('door');
    await tenant.condition('RelayApp', 'vault', 'Enforced', { status: 'True' });
    await tenant.condition('RelayToken', 'vault', 'Enforced', { status: 'True' });
    const { data } = (await tenant.secret('door-mtls')) ?? expect.fail('no Secret');
    const mine = { cert: data['tls.crt'], key: data['tls.key'] };
    const token = await tenant.value('vault-token', 'RELAY_TOKEN');
    const appId = await tenant.value('vault-relay', 'PUSHER_APP_ID');
    const appKey = await tenant.value('vault-relay', 'PUSHER_APP_KEY');
    const ask = async (port: number, identity: Pick<RequestOptions, 'cert' | 'key'>): Promise<string> => {
      const headers = { authorization: `Bearer ${token}` };
      const path = `/apps/${appId}/channels`;
      const sent = request({ host: '127.0.0.1', port, path, headers, ca: authority.cert, agent: false, ...identity });
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const body = JSON.parse(await text(response)) as { error?: { code?: string } };
      return `${response.statusCode} ${body.error?.code ?? 'in'}`;
    };
    const everyRelay = (identity: Pick<RequestOptions, 'cert' | 'key'>): Promise<string[]> =>
      Promise.all(installation.relays.map(({ port }) => ask(port, identity)));
    expect(await everyRelay(mine)).toEqual(['200 in', '200 in']);
    expect(await everyRelay({})).toEqual(['403 client_certificate_required', '403 client_certificate_required']);
    // Of the same authority, and registered for another app.
    const other = (await tenant.secret('billing-mtls'))?.data ?? expect.fail('no Secret');
    const theirs = { cert: other['tls.crt'], key: other['tls.key'] };
    expect(await everyRelay(theirs)).toEqual(['403 client_certificate_unknown', '403 client_certificate_unknown']);

    const port = installation.relays[0]?.port ?? 0;
    await using client = new TestClient(`wss://127.0.0.1:${port}/app/${appKey}?protocol=7`, {
      ca: authority.cert,
      ...mine,
    });
    await client.event('pusher:connection_established');
    await tenant.kubectl('delete', 'rcc', 'door', '--timeout=60s');
    expect(await client.closed()).toBe(4009);
    expect(await everyRelay(mine)).toEqual(['403 client_certificate_unknown', '403 client_certificate_unknown']);
  });

  test('at rest nothing is written; cert-manager goes: what was issued works on, and it is said', async () => {
    const version = async (): Promise<string> => (await get('billing')).metadata.resourceVersion;
    const before = await version();
    await tenant.apply(tenant.app('noise'));
    await tenant.condition('RelayApp', 'noise', 'Enforced', { status: 'True' });
    expect(await version()).toBe(before);

    const accepted = await fingerprints('billing');
    await cluster.kubectlOk(['delete', '-f', crds, '--ignore-not-found', '--wait=false']);
    await ready('billing', 'CertManagerNotInstalled');
    expect(await fingerprints('billing')).toEqual(accepted);
    await tenant.patch('clientcertificate/billing', { spec: { revoked: true } });
    await ready('billing', 'Revoked');
    await enforced('billing');
    expect(await published('billing')).toEqual([]);
    const said = installation.operators.map(({ process }) => process.output()).join('\n');
    expect(said).not.toMatch(/forbidden: User/i);
    // The private keys that cert-manager made are in its Secrets and nowhere else.
    expect(said).not.toContain('PRIVATE KEY');
  });
});
