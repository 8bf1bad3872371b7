import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiWrites, type Writes } from '#test/parts/api-writes.ts';
import { certManagerCrds, startCertManager } from '#test/parts/cert-manager.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { startInstallation, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant } from '#test/parts/tenant.ts';

// What client certificates cost an API server, cert-manager's own writes left out: it counts its own.

const NAMESPACE = 'certificate-budget';
const SYSTEM = 'certificate-budget-system';
const NAMES = ['one', 'two', 'three', 'four', 'five'];

describeOnControlPlane('the write budget of client certificates', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const authority = certificateAuthority();
  const stack = new AsyncDisposableStack();
  let installation: Installation;
  let crds: string;
  const writes = new ApiWrites(() => installation);

  beforeAll(async () => {
    crds = await certManagerCrds();
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated', '-f', crds]);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    for (const name of [NAMESPACE, SYSTEM]) await cluster.kubectlOk(['create', 'namespace', name]);
    installation = stack.use(
      await startInstallation({
        kubeconfig: cluster.adminKubeconfig,
        namespace: SYSTEM,
        watchNamespaces: [NAMESPACE],
      }),
    );
    stack.use(await startCertManager(cluster, SYSTEM));
    const issuer = (name: string, spec: object): object => ({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: { name, namespace: NAMESPACE },
      spec,
    });
    await tenant.apply(tenant.app('shop'), issuer('self', { selfSigned: {} }));
    await tenant.condition('RelayApp', 'shop', 'Enforced', { status: 'True' });
  }, 600_000);

  afterAll(async () => {
    await stack.disposeAsync();
    // The control plane is everybody's: a file that runs later must find it without cert-manager.
    await cluster.kubectlOk(['delete', '-f', crds, '--ignore-not-found', '--timeout=250s']);
  });

  const pems = new Map(NAMES.map((name) => [name, authority.issue(name).cert]));
  const secret = (name: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `public-${name}`, namespace: NAMESPACE, labels: { 'relay-operator.dev/referable': 'true' } },
    stringData: { 'tls.crt': authority.issue(name).cert },
  });
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
  const SOURCES: Readonly<Record<string, (name: string) => object>> = {
    fingerprint: (name) => ({ fingerprint: { sha256: digest(name), notAfter: '2099-01-01T00:00:00Z' } }),
    pem: (name) => ({ certificate: { pem: pems.get(name) } }),
    secret: (name) => ({ certificate: { secretRef: { name: `public-${name}` } } }),
    issue: () => ({ issue: { issuerRef: { name: 'self' } } }),
  };
  const enforced = (name: string): Promise<unknown> =>
    tenant.condition('ClientCertificate', name, 'Enforced', { status: 'True' });
  const ready = (name: string, reason: string): Promise<unknown> =>
    tenant.condition('ClientCertificate', name, 'Ready', { reason });

  /** Created, revoked, brought back, deleted. */
  const life = async (source: string, spec: (name: string) => object): Promise<Readonly<Record<string, Writes>>> => {
    const named = NAMES.map((name) => `${source}-${name}`);
    const short = (name: string): string => name.slice(source.length + 1);
    const each = (operation: (name: string) => Promise<unknown>): Promise<Writes> => writes.middle(named, operation);
    const revoked = (value: boolean) => async (name: string) => {
      await tenant.patch(`clientcertificate/${name}`, { spec: { revoked: value } });
      await ready(name, value ? 'Revoked' : 'Reconciled');
      await enforced(name);
    };
    if (source === 'secret') await tenant.apply(...NAMES.map(secret));
    return {
      created: await each(async (name) => {
        await tenant.apply(tenant.certificate(name, 'shop', spec(short(name))));
        await ready(name, 'Reconciled');
        await enforced(name);
      }),
      revoked: await each(revoked(true)),
      broughtBack: await each(revoked(false)),
      deleted: await each((name) => tenant.kubectl('delete', 'clientcertificate', name, '--timeout=60s')),
    };
  };

  test.each(['fingerprint', 'pem', 'secret'])(
    'by %s: two writes to create, one to revoke, one to delete',
    async (source) => {
      const cost = await life(source, SOURCES[source] ?? expect.fail(source));
      console.log('writes', source, JSON.stringify(cost));
      expect(cost).toEqual({
        created: { 'PATCH clientcertificates': 2 },
        revoked: { 'PATCH clientcertificates': 1 },
        broughtBack: { 'PATCH clientcertificates': 1 },
        deleted: { 'PATCH clientcertificates': 1 },
      });
    },
  );

  test('issued: the Certificate besides, and what was made goes with two more', async () => {
    const cost = await life('issue', SOURCES['issue'] ?? expect.fail());
    console.log('writes issue', JSON.stringify(cost));
    expect(cost).toEqual({
      created: { 'PATCH clientcertificates': 2, 'PATCH certificates': 1 },
      revoked: { 'PATCH clientcertificates': 1, 'DELETE certificates': 1, 'DELETE secrets': 1 },
      broughtBack: { 'PATCH clientcertificates': 1, 'PATCH certificates': 1 },
      deleted: { 'PATCH clientcertificates': 1, 'DELETE certificates': 1, 'DELETE secrets': 1 },
    });
  });

  test('a renewal: one status; at rest nothing', async () => {
    const named = NAMES.map((name) => `renewed-${name}`);
    const issue = { issuerRef: { name: 'self' } };
    await tenant.apply(...named.map((name) => tenant.certificate(name, 'shop', { issue })));
    for (const name of named) {
      await ready(name, 'Reconciled');
      await enforced(name);
    }
    const fingerprints = async (name: string): Promise<string> => {
      const { fingerprints: shown = [] } = (await tenant.get('ClientCertificate', name))?.status ?? {};
      return shown.map(({ state }) => state).join();
    };
    const cost = await writes.middle(named, async (name) => {
      expect(await fingerprints(name)).toBe('Active');
      await renew(tenant, name);
      await tenant.until('both are shown', async () => (await fingerprints(name)) === 'Active,Retiring');
      await enforced(name);
    });
    console.log('writes renewal', JSON.stringify(cost));
    expect(cost).toEqual({ 'PATCH clientcertificates': 1 });

    const versions = async (): Promise<readonly string[]> =>
      (await tenant.list('clientcertificate')).map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
    const atRest = await versions();
    const before = await writes.soFar();
    // A change of their app has each of them looked at; one that comes and goes afterwards, that it is done.
    await tenant.patch('relayapp/shop', { spec: { enabled: false } });
    await tenant.condition('RelayApp', 'shop', 'Enforced', { status: 'True' });
    await tenant.apply(tenant.certificate('barrier', 'shop', { fingerprint: { sha256: digest('barrier') } }));
    await enforced('barrier');
    await tenant.kubectl('delete', 'clientcertificate', 'barrier', '--timeout=60s');
    expect(await versions()).toEqual(atRest);
    const spent = await writes.since(before);
    expect(Object.keys(spent).toSorted()).toEqual(['PATCH clientcertificates', 'PATCH relayapps']);
  });
});

/** As `cmctl renew` does it. */
async function renew(tenant: Tenant, name: string): Promise<void> {
  const { status } = JSON.parse(await tenant.kubectl('get', 'certificate', name, '-o', 'json')) as {
    readonly status: { readonly conditions: readonly { readonly type: string }[] };
  };
  const issuing = {
    type: 'Issuing',
    status: 'True',
    reason: 'ManuallyTriggered',
    message: 'by a test',
    lastTransitionTime: new Date().toISOString(),
  };
  const conditions = [...status.conditions.filter(({ type }) => type !== 'Issuing'), issuing];
  const patch = JSON.stringify({ status: { conditions } });
  await tenant.kubectl('patch', 'certificate', name, '--subresource=status', '--type=merge', '-p', patch);
}
