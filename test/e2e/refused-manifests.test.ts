import { beforeAll, expect, test } from 'vitest';
import { API_VERSION } from '#crds/api-group.ts';
import { formatPath, validateManifest } from '#crds/validate.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// A manifest that is wrong is told of in the same words by the API server and by the folder of standalone: what to write, and where.

const app = (spec: object) => ['RelayApp', spec] as const;
const token = (spec: object) => ['RelayToken', { appRef: { name: 'checkout' }, ...spec }] as const;
const certificate = (spec: object) => ['ClientCertificate', { appRef: { name: 'checkout' }, ...spec }] as const;
const issue = (spec: object) => certificate({ issue: { issuerRef: { name: 'ca' }, ...spec } });
const OPENSSL = `sha256 Fingerprint=${Array.from({ length: 32 }, () => 'AB').join(':')}`;

describeOnControlPlane('a manifest that is wrong', (cluster) => {
  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    await cluster.kubectlOk(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  });

  test.each([
    app({ appId: '0480' }),
    app({ credentials: { secretName: 'Checkout_Relay' } }),
    app({ credentials: { template: { labels: { team: 'a b' } } } }),
    app({ credentials: { importFrom: { name: 'old', keys: { id: 'app id' } } } }),
    app({ rotation: { interval: '90d' } }),
    app({ rotation: { notify: ['platform'] } }),
    token({ expiresAt: '2027-01-01' }),
    token({ expiresAt: '2027-01-01T00:00:00' }),
    token({ expiresAt: '2027-01-01T00:00:00+99:99' }),
    token({ appRef: { name: 'Checkout' } }),
    certificate({ fingerprint: { sha256: OPENSSL } }),
    certificate({ fingerprint: { sha256: 'ab'.repeat(32), notAfter: 'tomorrow' } }),
    certificate({ certificate: { secretRef: { name: 'partner', key: 'tls crt' } } }),
    issue({ duration: '90d', renewBefore: '15d' }),
    issue({ issuerRef: { name: 'ca', kind: 'Cluster Issuer' } }),
  ])('%s %j', async (kind, spec) => {
    const manifest = { apiVersion: API_VERSION, kind, metadata: { name: 'typo', namespace: 'default' }, spec };
    const folder = validateManifest(manifest);
    const errors = folder.ok ? [] : folder.errors;
    expect(errors.length).toBeGreaterThan(0);
    const { code, stderr } = await cluster.kubectl(['apply', '--dry-run=server', '-f', '-'], {
      input: JSON.stringify(manifest),
    });
    expect(code).toBe(1);
    for (const { path, message } of errors) {
      const [words = ''] = message.split(', found ');
      expect(stderr).toContain(words);
      // A key of a map stands in brackets there.
      expect(stderr.replaceAll(/\[(\D[^\]]*)\]/g, '.$1')).toContain(`${formatPath(path)}: `);
    }
    // Nothing beside it that says less: neither the expression of a pattern nor a rule that cannot be evaluated.
    expect(stderr).not.toMatch(/should match|type conversion|must be of type/);
  });

  test('a time with an offset and fractions of a second is taken', async () => {
    const spec = { appRef: { name: 'checkout' }, expiresAt: '2027-01-01T00:00:00.5+05:30' };
    const manifest = {
      apiVersion: API_VERSION,
      kind: 'RelayToken',
      metadata: { name: 'ci', namespace: 'default' },
      spec,
    };
    await cluster.kubectlOk(['apply', '--dry-run=server', '-f', '-'], { input: JSON.stringify(manifest) });
  });
});
