import { expect, test } from 'vitest';
import { accessObjects, operatorServiceAccount, renderChart } from '#test/parts/chart.ts';
import { startInstallation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The operator with the chart's rights and no others, where they are narrowest: in one namespace. A rule that is missing shows as a
// Forbidden, and the objects never get there.

const RELEASE = 'chart-access-release';
const TENANT = 'chart-access-tenant';

describeOnControlPlane('an operator with the rights of the chart', (cluster) => {
  test('does all its work in the one namespace that it watches', async () => {
    for (const name of [RELEASE, TENANT]) {
      await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }]);
    }
    const objects = await renderChart(cluster, { namespace: RELEASE, values: { watchNamespaces: [TENANT] } });
    await cluster.apply(accessObjects(objects));
    const kubeconfig = await cluster.serviceAccountKubeconfig(RELEASE, operatorServiceAccount(objects));
    await using installation = await startInstallation({
      kubeconfig,
      namespace: RELEASE,
      watchNamespaces: [TENANT],
      relays: 1,
    });
    const kubectl = (...args: string[]): Promise<string> => cluster.kubectlOk(['--namespace', TENANT, ...args]);
    const manifest = (kind: string, name: string, spec: object) => ({
      apiVersion: 'relay-operator.dev/v1alpha1',
      kind,
      metadata: { name, namespace: TENANT },
      spec,
    });

    const token = manifest('RelayToken', 'ci', { appRef: { name: 'checkout' } });
    const hook = { url: 'https://example.com/', events: ['channel_occupied'] };
    const webhooks = [
      { name: 'signed', ...hook, headersFrom: { name: 'headers' } },
      { name: 'missing', ...hook, headersFrom: { name: 'nowhere' } },
    ];
    const labels = { 'relay-operator.dev/referable': 'true' };
    const headers = { metadata: { name: 'headers', namespace: TENANT, labels }, stringData: { 'X-One': '1' } };
    await cluster.apply([{ apiVersion: 'v1', kind: 'Secret', ...headers }]);
    await cluster.apply([manifest('RelayApp', 'checkout', { webhooks }), token]);
    await kubectl('wait', '--for=condition=Enforced', 'relayapp/checkout', 'relaytoken/ci', '--timeout=60s');
    await kubectl('get', 'secret', 'checkout-relay', 'ci-token');
    // Referenced Secrets: the one with the label was found, and the other one looked for.
    await kubectl('wait', '--for=condition=Warning', 'relayapp/checkout', '--timeout=60s');
    const warning = '{.status.conditions[?(@.type=="Warning")].message}';
    expect(await kubectl('get', 'relayapp/checkout', '-o', `jsonpath=${warning}`)).toBe(
      `nothing is sent to webhook missing: there is no Secret nowhere in namespace ${TENANT}: make it, with the label relay-operator.dev/referable: "true"`,
    );
    await kubectl('patch', 'secret', 'headers', '--type=merge', '-p', '{"stringData":{"Host":"x"}}');
    await kubectl(
      'wait',
      `--for=jsonpath={.status.conditions[?(@.type=="Warning")].reason}=HeadersInvalid,SecretNotFound`,
      'relayapp/checkout',
      '--timeout=60s',
    );
    await kubectl('delete', 'secret', 'headers');

    // A lost Secret is made again, which is also worth an Event.
    await kubectl('delete', 'secret', 'ci-token');
    await kubectl('wait', '--for=create', 'secret/ci-token', '--timeout=60s');
    await kubectl('wait', '--for=create', 'event.events.k8s.io', '--all', '--timeout=60s');

    await kubectl('delete', 'relaytoken/ci', 'relayapp/checkout', '--timeout=60s');
    expect(await kubectl('get', 'secrets', '--ignore-not-found', '--output=name')).toBe('');
    const said = installation.operators.map(({ process }) => process.output()).join('\n');
    expect(said).not.toMatch(/forbidden/i);
  });
});
