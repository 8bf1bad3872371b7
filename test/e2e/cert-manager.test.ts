import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { afterAll, beforeAll } from 'vitest';
import { API_VERSION, FIELD_MANAGER } from '#crds/api-group.ts';
import { createKubernetesCertManager } from '#operator/cert-manager/kubernetes-cert-manager.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { OutageLog } from '#operator/engine/outage-log.ts';
import { LIST_OR_WATCH } from '#operator/engine/reflector.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import { certManagerContract, type CertManagerUnderTest } from '#test/contracts/cert-manager.ts';
import { certManagerCrds } from '#test/parts/cert-manager.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The same promises as those of the twin (operator/cert-manager), kept with cert-manager's own CRDs. Its controllers are played by the test.

describeOnControlPlane('cert-manager in a cluster', (cluster) => {
  /** Those that the port needs. */
  let crds: string[];

  beforeAll(async () => {
    const folder = await certManagerCrds();
    crds = ['certificates', 'certificaterequests'].flatMap((plural) => [
      '-f',
      join(folder, `cert-manager.io_${plural}.yaml`),
    ]);
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  }, 600_000);

  const uninstall = async (...options: string[]): Promise<void> => {
    await cluster.kubectlOk(['delete', ...crds, '--ignore-not-found', ...options]);
  };
  afterAll(() => uninstall('--timeout=250s'));

  const create = async (): Promise<CertManagerUnderTest> => {
    await uninstall('--timeout=170s');
    const namespace = `cert-manager-${randomUUID().slice(0, 8)}`;
    await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
    // Without an owner that is there, the garbage collector would take the Certificates.
    const spec = { appRef: { name: 'shop' }, issue: { issuerRef: { name: 'ca' } } };
    const owner = {
      apiVersion: API_VERSION,
      kind: 'ClientCertificate',
      metadata: { name: 'billing', namespace },
      spec,
    };
    await cluster.apply([owner]);
    const read = ['get', 'clientcertificate', 'billing', '-o', 'jsonpath={.metadata.uid}'];
    const ownerUid = (await cluster.kubectlOk(['-n', namespace, ...read])).trim();
    const log = pino({ level: 'silent' });
    const config = new KubeConfig();
    config.loadFromFile(cluster.adminKubeconfig);
    const connection = new Connection(config, systemClock);
    const client = new KubernetesClient({ connection, fieldManager: FIELD_MANAGER, userAgent: 'contract' });
    const outages = new OutageLog(log, LIST_OR_WATCH);
    const certManager = createKubernetesCertManager({
      client,
      namespaces: [namespace],
      clock: systemClock,
      log,
      outages,
    });
    const stop = new AbortController();
    const running = certManager.run(stop.signal);
    await certManager.whenSettled(stop.signal);
    const say = async ({ name }: ObjectRef, status: object): Promise<void> => {
      const patch = JSON.stringify({ status });
      await cluster.kubectlOk([
        '-n',
        namespace,
        'patch',
        'certificate',
        name,
        '--subresource=status',
        '--type=merge',
        '-p',
        patch,
      ]);
    };
    const at = '2026-05-01T12:00:00Z';
    const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'up to date', lastTransitionTime: at };
    return {
      certManager,
      namespace,
      ownerUid,
      install: async () => {
        await cluster.kubectlOk(['apply', '--server-side', ...crds]);
        await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
      },
      uninstall: () => uninstall('--wait=false'),
      putForeign: ({ name }) =>
        cluster.apply([
          {
            apiVersion: 'cert-manager.io/v1',
            kind: 'Certificate',
            metadata: { name, namespace },
            spec: { commonName: 'theirs', secretName: 'theirs', issuerRef: { name: 'nobody' } },
          },
        ]),
      issue: (ref, notAfter) =>
        say(ref, { revision: 1, notAfter: new Date(notAfter).toISOString().replace('.000', ''), conditions: [ready] }),
      fail: (ref, message) =>
        say(ref, {
          conditions: [ready, { type: 'Issuing', status: 'False', reason: 'Failed', message, lastTransitionTime: at }],
        }),
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await running;
        await connection[Symbol.asyncDispose]();
        await cluster.kubectlOk(['delete', 'namespace', namespace, '--wait=false']);
      },
    };
  };
  certManagerContract(create);
});
