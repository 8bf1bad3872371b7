import { expect, test } from 'vitest';
import { startControlPlane } from '#test/parts/control-plane.ts';
import { eventually } from '#test/parts/eventually.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

describeOnControlPlane('the control plane of this run', (cluster) => {
  test('collects an object whose owner is deleted', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'garbage']);
    await cluster.kubectlOk(['-n', 'garbage', 'create', 'configmap', 'owner']);
    const uid = await cluster.kubectlOk([
      '-n',
      'garbage',
      'get',
      'configmap',
      'owner',
      '-o',
      'jsonpath={.metadata.uid}',
    ]);
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
    const metadata = { name: 'owned', namespace: 'garbage', ownerReferences };
    await cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata }]);
    await cluster.kubectlOk(['-n', 'garbage', 'delete', 'configmap', 'owner']);
    await eventually(
      async () => (await cluster.kubectl(['-n', 'garbage', 'get', 'secret', 'owned'])).stderr.includes('NotFound'),
      { timeout: 60_000, describe: 'the owned Secret is collected' },
    );
  });

  test('finishes the deletion of a namespace', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'short-lived']);
    await cluster.kubectlOk(['-n', 'short-lived', 'create', 'configmap', 'content']);
    await cluster.kubectlOk(['delete', 'namespace', 'short-lived', '--timeout', '60s']);
    expect((await cluster.kubectl(['get', 'namespace', 'short-lived'])).stderr).toContain('NotFound');
  });

  test('lets a ServiceAccount do what its Role says, and nothing else', async () => {
    await cluster.kubectlOk(['create', 'namespace', 'limited']);
    await cluster.kubectlOk(['-n', 'limited', 'create', 'serviceaccount', 'reader']);
    const kubeconfig = await cluster.serviceAccountKubeconfig('limited', 'reader');
    const list = (): ReturnType<typeof cluster.kubectl> => cluster.kubectl(['get', 'configmaps'], { kubeconfig });
    expect((await list()).stderr).toContain('system:serviceaccount:limited:reader');
    expect((await list()).stderr).toContain('Forbidden');
    await cluster.kubectlOk(['-n', 'limited', 'create', 'role', 'reader', '--verb=list', '--resource=configmaps']);
    const binding = ['rolebinding', 'reader', '--role=reader', '--serviceaccount=limited:reader'];
    await cluster.kubectlOk(['-n', 'limited', 'create', ...binding]);
    await eventually(async () => (await list()).code === 0, { describe: 'the RoleBinding is in force' });
    expect((await cluster.kubectl(['get', 'secrets'], { kubeconfig })).stderr).toContain('Forbidden');
  });

  test('is reached by Helm', async () => {
    const { stdout, stderr, code } = await cluster.helm(['list', '--all-namespaces', '-o', 'json']);
    expect({ stdout: stdout.trim(), stderr, code }).toEqual({ stdout: '[]', stderr: '', code: 0 });
  });
});

describeOnControlPlane('a control plane of its own', () => {
  test('keeps what is stored when its API server is killed and comes back', async () => {
    await using cluster = await startControlPlane({ controllerManager: false });
    await cluster.kubectlOk(['create', 'namespace', 'kept']);
    await cluster.apiserver.kill9();
    expect((await cluster.kubectl(['get', 'namespaces'])).code).not.toBe(0);
    await cluster.apiserver.start();
    expect(await cluster.kubectlOk(['get', 'namespace', 'kept', '-o', 'name'])).toBe('namespace/kept\n');
  });
});
