import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig as readOperatorConfig } from '#operator/config.ts';
import { readConfig as readRelayConfig } from '#relay/config.ts';
import {
  accessObjects,
  operatorServiceAccount,
  relayServiceAccount,
  renderChart,
  type ChartObject,
} from '#test/parts/chart.ts';
import { selfSigned } from '#test/parts/certificate.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// What a real API server makes of the rendered chart. Long, because the values that switch everything on, and what may then be in the pods, are
// the measure of every case.

const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'charts/relay-operator');
const NAMESPACE = 'relay-system';

/** As an operator of a cluster would give them with --values. */
const PRODUCTION = z.looseObject({}).parse(load(await readFile(join(CHART, 'values-production.yaml'), 'utf8')));

/** Switches everything on that a default leaves out. */
const EVERYTHING = {
  commonLabels: { team: 'platform' },
  imagePullSecrets: ['registry'],
  urls: { public: 'https://relay.example.com' },
  redisPrefix: 'staging:',
  operator: { ...everythingOfPods(), image: { digest: `sha256:${'0'.repeat(64)}` } },
  links: {
    database: { secretName: 'database-tls', clientCertificate: true, serverName: 'db.internal' },
    operatorRedis: { secretName: 'redis-tls', clientCertificate: true, serverName: 'redis.internal' },
    relayRedis: { secretName: 'relay-redis-tls', serverName: 'redis.internal' },
  },
  notifications: {
    mail: {
      urlFrom: { name: 'notifications', key: 'SMTP_URL' },
      from: 'relay@example.com',
      caSecretName: 'mail-tls',
    },
    webhook: { urlFrom: { name: 'notifications', key: 'NOTIFY_WEBHOOK_URL' } },
  },
  relay: {
    ...everythingOfPods(),
    tls: { secretName: 'relay-tls', required: true, clientCertificates: true },
    service: { type: 'NodePort', nodePort: 30_601 },
    trustedProxies: ['10.0.0.0/8', '2001:db8::/32'],
    forwardedHeader: 'forwarded',
    proxyProtocol: true,
    clientCertHeaders: ['ssl-client-cert'],
    proxySecret: { name: 'relay-proxy' },
    proxyCertificates: ['ab'.repeat(32), `${'AB:'.repeat(31)}AB`],
    geoipDatabase: '/geoip/GeoLite2-Country.mmdb',
  },
};

function everythingOfPods() {
  return {
    replicas: 3,
    serviceAccount: { annotations: { note: 'a' } },
    metricsService: { annotations: { note: 'b' } },
    podLabels: { tier: 'messaging' },
    podAnnotations: { note: 'c' },
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: { nodeAffinity: {} },
    priorityClassName: 'system-cluster-critical',
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' },
    ],
    extraEnv: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/certificates/ca.crt' }],
    extraVolumes: [{ name: 'certificates', configMap: { name: 'authorities' } }],
    extraVolumeMounts: [{ name: 'certificates', mountPath: '/certificates', readOnly: true }],
  };
}

const rules = z.object({
  rules: z.array(
    z.object({
      apiGroups: z.array(z.string()),
      resources: z.array(z.string()),
      resourceNames: z.array(z.string()).default([]),
      verbs: z.array(z.string()),
    }),
  ),
});
const binding = z.object({ subjects: z.array(z.object({ kind: z.string(), name: z.string() })) });
const podTemplate = z.object({
  spec: z.object({
    template: z.object({
      spec: z.looseObject({
        automountServiceAccountToken: z.boolean(),
        terminationGracePeriodSeconds: z.number(),
        securityContext: z.unknown(),
        volumes: z
          .array(z.looseObject({ name: z.string(), secret: z.looseObject({ secretName: z.string() }).optional() }))
          .default([]),
        containers: z.tuple([
          z.looseObject({
            name: z.string(),
            securityContext: z.unknown(),
            env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })),
            volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
          }),
        ]),
      }),
    }),
  }),
});

describeOnControlPlane('the chart', (cluster) => {
  const ofKind = (objects: readonly ChartObject[], ...kinds: string[]): ChartObject[] =>
    objects.filter(({ kind }) => kinds.includes(kind));

  test('passes helm lint', async () => {
    const { code, stdout } = await cluster.helm(['lint', '--strict', CHART]);
    expect(stdout).toContain('0 chart(s) failed');
    expect(code).toBe(0);
  });

  test.each([
    ['its defaults', {}],
    ['everything switched on', EVERYTHING],
    ['two namespaces only', { watchNamespaces: ['shop', 'billing'] }],
    ['the production values', PRODUCTION],
  ])('is taken by the API server with %s, without a warning', async (_name, values) => {
    for (const namespace of [NAMESPACE, 'shop', 'billing']) await ensureNamespace(namespace);
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values });
    const { code, stderr } = await cluster.kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('installs CRDs that the API server has nothing to say about, and that outlive the release', async () => {
    const crds = ofKind(await renderChart(cluster, { namespace: NAMESPACE }), 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual([
      'clientcertificates.relay-operator.dev',
      'relayapps.relay-operator.dev',
      'relaytokens.relay-operator.dev',
    ]);
    for (const { metadata } of crds) expect(metadata).toMatchObject(KEPT);
    const { code, stderr } = await cluster.kubectl(['apply', '--server-side', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: crds }),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const wait = ['wait', '--for=condition=Established', '--timeout=60s'];
    await cluster.kubectlOk([...wait, ...crds.map(({ metadata }) => `crd/${metadata.name}`)]);
  });

  test.each(['examples/cluster', 'examples/standalone'])(
    'serves CRDs that take the manifests of %s',
    async (folder) => {
      await cluster.apply(ofKind(await renderChart(cluster, { namespace: NAMESPACE }), 'CustomResourceDefinition'));
      for (const namespace of [NAMESPACE, 'shop']) await ensureNamespace(namespace);
      const { code, stderr } = await cluster.kubectl([
        'apply',
        '--server-side',
        '--dry-run=server',
        '--validate=strict',
        '-f',
        join(ROOT, folder),
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    },
  );

  test('leaves the CRDs to somebody else if told so', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values: { crds: { enabled: false } } });
    expect(ofKind(objects, 'CustomResourceDefinition')).toEqual([]);
    expect(ofKind(objects, 'Deployment')).toHaveLength(2);
  });

  test.each([
    ['a misspelt section', { opertor: { replicas: 3 } }, /'opertor' not allowed/],
    ['a misspelt key', { relay: { replcas: 3 } }, /\/relay.*'replcas' not allowed/],
    ['a wrong type', { relay: { replicas: 'two' } }, /\/relay\/replicas.*got string, want integer/],
    ['a URL with a path', { urls: { public: 'https://example.com/relay' } }, /\/urls\/public.*pattern/],
    [
      'a host name as a proxy',
      { relay: { trustedProxies: ['ingress.example.com'] } },
      /\/relay\/trustedProxies.*pattern/,
    ],
    [
      'a header that says nothing of certificates',
      { relay: { clientCertHeaders: ['x-cert'] } },
      /\/relay\/clientCertHeaders/,
    ],
    ['mail from nobody', { notifications: { mail: { urlFrom: { name: 'n', key: 'SMTP_URL' } } } }, /mail\.from/],
    [
      'mail by no server',
      { notifications: { mail: { from: 'relay@example.com' } } },
      /mail\.from.*mail\.urlFrom\.name/,
    ],
    [
      'a certificate of ours in no Secret',
      { links: { database: { clientCertificate: true } } },
      /links\.database\.clientCertificate: set links\.database\.secretName/,
    ],
    [
      'a request for certificates without TLS',
      { relay: { tls: { clientCertificates: true } } },
      /relay\.tls\.clientCertificates: set relay\.tls\.secretName/,
    ],
    ['TLS that nobody can have', { relay: { tls: { required: true } } }, /relay\.tls\.required: set relay\.tls/],
    ['headers of no proxy', { relay: { proxyProtocol: true } }, /relay\.proxyProtocol.*set relay\.trustedProxies/],
    [
      'certificates that no proxy is asked for',
      { relay: { trustedProxies: ['10.0.0.0/8'], proxyCertificates: ['ab'.repeat(32)] } },
      /relay\.proxyCertificates: set relay\.tls\.clientCertificates/,
    ],
    ['a secret in place of a reference', { secrets: { databaseUrl: 'postgres://x' } }, /\/secrets\/databaseUrl/],
  ])('refuses %s and says where it stands', async (_name, values, message) => {
    await expect(renderChart(cluster, { namespace: NAMESPACE, values })).rejects.toThrow(message);
  });

  test('gives the operator exactly the rights it needs', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE });
    expect(grants(ofKind(objects, 'ClusterRole'))).toEqual([
      'create,patch events.k8s.io/events',
      'get,list,watch,create,patch,delete cert-manager.io/certificates',
      'get,list,watch,create,patch,delete secrets',
      'list,watch cert-manager.io/certificaterequests',
      'list,watch,patch relay-operator.dev/clientcertificates',
      'list,watch,patch relay-operator.dev/relayapps',
      'list,watch,patch relay-operator.dev/relaytokens',
      'patch relay-operator.dev/clientcertificates/status',
      'patch relay-operator.dev/relayapps/status',
      'patch relay-operator.dev/relaytokens/status',
      'update relay-operator.dev/clientcertificates/finalizers',
      'update relay-operator.dev/relayapps/finalizers',
      'update relay-operator.dev/relaytokens/finalizers',
    ]);
    const roles = ofKind(objects, 'Role');
    expect(roles.map(({ metadata }) => metadata.namespace)).toEqual([NAMESPACE]);
    expect(grants(roles)).toEqual([
      'create coordination.k8s.io/leases',
      'get pods',
      'get,update coordination.k8s.io/leases/relay-operator',
    ]);
    expect(JSON.stringify([...roles, ...ofKind(objects, 'ClusterRole')])).not.toContain('*');
  });

  test('gives it nothing outside the namespaces that it watches', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values: { watchNamespaces: ['shop'] } });
    expect(ofKind(objects, 'ClusterRole', 'ClusterRoleBinding')).toEqual([]);
    expect(
      ofKind(objects, 'Role')
        .map(({ metadata }) => metadata.namespace ?? '')
        .sort(),
    ).toEqual([NAMESPACE, 'shop']);
    expect(environment(objects, 'operator')).toMatchObject({
      WATCH_NAMESPACES: 'shop',
      ALLOWED_ISSUERS: 'Issuer/*',
    });
  });

  test('says which issuers may sign: those of the values, or none', async () => {
    const allowed = async (allowedIssuers: string[]): Promise<unknown> =>
      environment(await renderChart(cluster, { namespace: NAMESPACE, values: { allowedIssuers } }), 'operator');
    const issuers = ['Issuer/*', 'AWSPCAClusterIssuer.awspca.cert-manager.io/prod'];
    expect(await allowed(issuers)).toMatchObject({ ALLOWED_ISSUERS: issuers.join(',') });
    expect(await allowed([])).toMatchObject({ ALLOWED_ISSUERS: 'none' });
    await expect(allowed(['Issuer'])).rejects.toThrow('allowedIssuers');
  });

  test('gives the relay no way to the API server', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE });
    const relay = relayServiceAccount(objects);
    expect(relay).not.toBe(operatorServiceAccount(objects));
    const bound = ofKind(objects, 'RoleBinding', 'ClusterRoleBinding').flatMap(
      (object) => binding.parse(object).subjects,
    );
    expect(new Set(bound.map(({ name }) => name))).toEqual(new Set([operatorServiceAccount(objects)]));
    expect(ofKind(objects, 'ServiceAccount').find(({ metadata }) => metadata.name === relay)).toMatchObject({
      automountServiceAccountToken: false,
    });
    expect(pod(objects, 'relay').automountServiceAccountToken).toBe(false);
    expect(JSON.stringify(pod(objects, 'relay'))).not.toMatch(/DATABASE_URL|ENCRYPTION_KEYS/);
  });

  test('runs both without any privilege, and gives the relay time to drain', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values: { relay: { drainSeconds: 120 } } });
    for (const name of ['operator', 'relay']) {
      const { securityContext, containers } = pod(objects, name);
      expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      expect(containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        privileged: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    expect(pod(objects, 'relay').terminationGracePeriodSeconds).toBeGreaterThan(120);
    expect(environment(objects, 'relay')).toMatchObject({ RELAY_DRAIN_SECONDS: '120' });
  });

  test.each([
    ['operator', readOperatorConfig],
    ['relay', readRelayConfig],
  ] as const)('gives the %s settings that it knows and takes, and all that it needs', async (name, readConfig) => {
    const objects = await renderChart(cluster, {
      namespace: NAMESPACE,
      values: { ...EVERYTHING, watchNamespaces: ['shop'] },
    });
    await using directory = await temporaryDirectory('chart');
    const pem = join(directory.path, 'any.pem');
    await writeFile(pem, selfSigned().cert);
    const mounted = Object.entries(environment(objects, name)).map(([key, value]) => [
      key,
      value?.startsWith('/etc/relay-operator/') === true ? pem : value,
    ]);
    // The kubelet adds it to every container.
    const given = { ...Object.fromEntries(mounted), ...SECRETS, KUBERNETES_SERVICE_HOST: '10.96.0.1' };
    const help = readConfig(['--help'], {});
    if (help.kind !== 'help') throw new Error('no help');
    const ours = pod(objects, name).containers[0].env.filter((variable) => variable.name !== 'NODE_EXTRA_CA_CERTS');
    for (const variable of ours) expect(help.text).toContain(`, ${variable.name}\n`);
    expect(readConfig([], given)).not.toMatchObject({ kind: 'invalid' });
  });

  test('gives the operator what it notifies with, and only if asked to', async () => {
    const env = (objects: readonly ChartObject[]): string => JSON.stringify(pod(objects, 'operator').containers[0].env);
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values: EVERYTHING });
    expect(environment(objects, 'operator')).toMatchObject({
      SMTP_FROM: 'relay@example.com',
      SMTP_TLS_CA_FILE: '/etc/relay-operator/mail/ca.crt',
    });
    expect(mounts(objects, 'operator')).toMatchObject({ '/etc/relay-operator/mail': 'mail-tls' });
    for (const name of ['SMTP_URL', 'NOTIFY_WEBHOOK_URL'])
      expect(env(objects)).toContain(
        `{"name":"${name}","valueFrom":{"secretKeyRef":{"name":"notifications","key":"${name}"}}}`,
      );
    expect(env(await renderChart(cluster, { namespace: NAMESPACE }))).not.toMatch(/SMTP|NOTIFY/);
  });

  test('mounts certificates where the settings look for them, and names the relay by https', async () => {
    const objects = await renderChart(cluster, { namespace: NAMESPACE, values: PRODUCTION });
    expect(environment(objects, 'operator')).toMatchObject({
      DATABASE_TLS_CA_FILE: '/etc/relay-operator/database/ca.crt',
      REDIS_TLS_CA_FILE: '/etc/relay-operator/redis/ca.crt',
      RELAY_INTERNAL_URL: 'https://relay-operator-relay.relay-system.svc:6001',
    });
    expect(environment(objects, 'relay')).toMatchObject({
      TLS_CERT_FILE: '/etc/relay-operator/clients/tls.crt',
      TLS_KEY_FILE: '/etc/relay-operator/clients/tls.key',
      REQUIRE_TLS: 'true',
      REDIS_TLS_CA_FILE: '/etc/relay-operator/redis/ca.crt',
    });
    expect(mounts(objects, 'operator')).toEqual({
      '/etc/relay-operator/database': 'relay-operator-database-tls',
      '/etc/relay-operator/redis': 'relay-operator-redis-tls',
    });
    expect(mounts(objects, 'relay')).toEqual({
      '/etc/relay-operator/clients': 'relay-tls',
      '/etc/relay-operator/redis': 'relay-redis-tls',
    });
    expect(JSON.stringify(ofKind(objects, 'Service'))).toContain('"appProtocol":"https"');
    const plain = await renderChart(cluster, { namespace: NAMESPACE });
    expect(environment(plain, 'operator')['RELAY_INTERNAL_URL']).toBe(
      'http://relay-operator-relay.relay-system.svc:6001',
    );
    expect(JSON.stringify(plain)).not.toMatch(/TLS_[A-Z]+_FILE|REQUIRE_TLS/);
  });

  test('is used as rendered: the operator may do its work, the relay nothing', async () => {
    const objects = await renderChart(cluster, { namespace: 'chart-access', release: 'relay-operator-access' });
    await ensureNamespace('chart-access');
    await cluster.apply(accessObjects(objects));
    const may = async (account: string, ...action: string[]): Promise<string> => {
      const as = `--as=system:serviceaccount:chart-access:${account}`;
      return (await cluster.kubectl(['auth', 'can-i', ...action, as])).stdout.trim();
    };
    const operator = operatorServiceAccount(objects);
    const relay = relayServiceAccount(objects);
    expect(await may(operator, 'watch', 'relayapps.relay-operator.dev', '--all-namespaces')).toBe('yes');
    expect(
      await may(operator, 'update', 'leases.coordination.k8s.io/relay-operator-access', '-n', 'chart-access'),
    ).toBe('yes');
    expect(await may(operator, 'update', 'leases.coordination.k8s.io/another', '-n', 'chart-access')).toBe('no');
    expect(await may(operator, 'update', 'leases.coordination.k8s.io', '-n', 'default')).toBe('no');
    expect(await may(operator, 'create', 'pods', '-n', 'chart-access')).toBe('no');
    expect(await may(operator, 'delete', 'relayapps.relay-operator.dev', '-n', 'default')).toBe('no');
    expect(await may(relay, 'get', 'relayapps.relay-operator.dev', '-n', 'default')).toBe('no');
    expect(await may(relay, 'get', 'secrets', '-n', 'chart-access')).toBe('no');
  });

  async function ensureNamespace(name: string): Promise<void> {
    await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }]);
  }

  function pod(objects: readonly ChartObject[], container: string) {
    const pods = ofKind(objects, 'Deployment').map((object) => podTemplate.parse(object).spec.template.spec);
    const found = pods.find(({ containers }) => containers[0].name === container);
    if (found === undefined) throw new Error(`no Deployment of ${container}`);
    return found;
  }

  /** Path → Secret. */
  function mounts(objects: readonly ChartObject[], container: string): Record<string, string> {
    const { containers, volumes } = pod(objects, container);
    const secrets = new Map(volumes.map(({ name, secret }) => [name, secret?.secretName ?? '']));
    return Object.fromEntries(
      containers[0].volumeMounts.map(({ name, mountPath }) => [mountPath, secrets.get(name) ?? '']),
    );
  }

  function environment(objects: readonly ChartObject[], container: string): Record<string, string | undefined> {
    return Object.fromEntries(pod(objects, container).containers[0].env.map(({ name, value }) => [name, value]));
  }
});

/** What the referenced Secrets hold. */
const SECRETS = {
  DATABASE_URL: 'postgres://relay@db/relay',
  REDIS_URL: 'rediss://redis',
  ENCRYPTION_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
  DIRECTORY_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
  SMTP_URL: 'smtp://mail.example.com',
  NOTIFY_WEBHOOK_URL: 'https://chat.example.com/hooks/x',
  // From the downward API.
  RELAY_ID: 'relay-0',
  POD_UID: '00000000-0000-0000-0000-000000000000',
  POD_NAME: 'operator-0',
  POD_NAMESPACE: 'relay-system',
};

const KEPT = { annotations: { 'helm.sh/resource-policy': 'keep' } };

/** `verbs group/resource[/name]`, a line each. */
function grants(roles: readonly ChartObject[]): string[] {
  return roles
    .flatMap((role) => rules.parse(role).rules)
    .flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.map((resource) =>
          [`${verbs.join(',')} ${group}`, resource, ...resourceNames].join('/').replace(' /', ' '),
        ),
      ),
    )
    .sort();
}
