import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Pusher from 'pusher';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessObjects, operatorServiceAccount, renderChart } from '#test/parts/chart.ts';
import { eventually } from '#test/parts/eventually.ts';
import { PusherClient } from '#test/parts/pusher-js.ts';
import { startInstallation, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The product as a user meets it: kubectl, an unmodified pusher-js, the pusher SDK and curl, on a real control plane with two operators and
// two relays. docs/getting-started.md walks a person through the same.

const NAMESPACE = 'first-thread';
const RELEASE_NAMESPACE = 'first-thread-system';
const manifest = (kind: string, name: string, spec: unknown) => ({
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec,
});

type Received = { readonly event: string; readonly data: unknown };

describeOnControlPlane('the first thread', (cluster) => {
  let installation: Installation;
  const open: InstanceType<typeof PusherClient>[] = [];

  beforeAll(async () => {
    await cluster.kubectlOk(['create', 'namespace', NAMESPACE]);
    await cluster.kubectlOk(['create', 'namespace', RELEASE_NAMESPACE]);
    const chart = await renderChart(cluster, { namespace: RELEASE_NAMESPACE, values: { watchNamespaces: [] } });
    await cluster.apply(accessObjects(chart));
    installation = await startInstallation({
      kubeconfig: await cluster.serviceAccountKubeconfig(RELEASE_NAMESPACE, operatorServiceAccount(chart)),
      namespace: RELEASE_NAMESPACE,
    });
  });

  afterAll(async () => {
    for (const client of open) client.disconnect();
    await installation?.[Symbol.asyncDispose]();
  });

  const secretOf = async (name: string): Promise<Record<string, string>> => {
    const { data } = JSON.parse(await cluster.kubectlOk(['-n', NAMESPACE, 'get', 'secret', name, '-o', 'json'])) as {
      data: Record<string, string>;
    };
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  };

  const waitFor = async (what: string, condition: string): Promise<void> => {
    await cluster.kubectlOk(['-n', NAMESPACE, 'wait', `--for=condition=${condition}`, what, '--timeout=30s']);
  };

  const connect = async (
    key: string,
    port: number,
  ): Promise<{ client: InstanceType<typeof PusherClient>; received: Received[] }> => {
    const client = new PusherClient(key, {
      cluster: '',
      wsHost: '127.0.0.1',
      wsPort: port,
      forceTLS: false,
      enabledTransports: ['ws'],
      disableStats: true,
    });
    open.push(client);
    const received: Received[] = [];
    const channel = client.subscribe('orders');
    channel.bind_global((event: string, data: unknown) => received.push({ event, data }));
    await new Promise<void>((resolve, reject) => {
      channel.bind('pusher:subscription_succeeded', () => resolve());
      client.connection.bind('error', (error: unknown) => reject(new Error(JSON.stringify(error))));
    });
    return { client, received };
  };

  const curl = async (...args: string[]): Promise<{ status: number; body: string }> => {
    const { stdout } = await promisify(execFile)('curl', ['-sS', '-w', '\n%{http_code}', ...args]);
    const cut = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(cut + 1)), body: stdout.slice(0, cut) };
  };

  const publish = (url: string, appId: string, headers: Record<string, string>, data: unknown) =>
    curl(
      ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
      '-H',
      'Content-Type: application/json',
      '-d',
      JSON.stringify({ name: 'created', channel: 'orders', data: JSON.stringify(data) }),
      `${url}/api/v1/apps/${appId}/events`,
    );

  test('a manifest applied, an event received', async () => {
    await cluster.apply([
      manifest('RelayApp', 'checkout', {}),
      manifest('RelayToken', 'ci', { appRef: { name: 'checkout' } }),
    ]);
    await waitFor('relayapp/checkout', 'Ready');
    await waitFor('relayapp/checkout', 'Enforced');
    await waitFor('relaytoken/ci', 'Enforced');
    await waitFor('relaytoken/ci', 'Ready');

    const app = await secretOf('checkout-relay');
    const token = await secretOf('ci-token');
    const [first, second] = installation.relays;
    if (first === undefined || second === undefined) throw new Error('two relays expected');
    expect(app).toEqual({
      PUSHER_APP_ID: expect.stringMatching(/^[1-9][0-9]{0,14}$/),
      PUSHER_APP_KEY: expect.stringMatching(/^[0-9a-z]{20}$/),
      PUSHER_APP_SECRET: expect.stringMatching(/^[0-9a-z]{40}$/),
      PUSHER_HOST: '127.0.0.1',
      PUSHER_PORT: String(first.port),
      PUSHER_SCHEME: 'http',
      PUSHER_APP_CLUSTER: 'relay',
      PUSHER_URL: `http://${app['PUSHER_APP_KEY']}:${app['PUSHER_APP_SECRET']}@127.0.0.1:${first.port}/apps/${app['PUSHER_APP_ID']}`,
      type: 'pusher',
      provider: 'relay-operator',
      uri: app['PUSHER_URL'],
    });
    expect(token).toEqual({
      RELAY_TOKEN: expect.stringMatching(/^rly_live_[0-9A-Za-z]{48}$/),
      RELAY_APP_ID: app['PUSHER_APP_ID'],
      RELAY_URL: installation.publicUrl,
    });

    const appId = app['PUSHER_APP_ID'] ?? '';
    const key = app['PUSHER_APP_KEY'] ?? '';
    const secret = app['PUSHER_APP_SECRET'] ?? '';
    // Subscribed at the second replica, published at the first.
    const { received, client } = await connect(key, second.port);
    const sdk = new Pusher({ appId, key, secret, host: '127.0.0.1', port: String(first.port), useTLS: false });
    await sdk.trigger('orders', 'created', { by: 'sdk' });
    expect(
      await publish(first.url, appId, { Authorization: `Bearer ${token['RELAY_TOKEN']}` }, { by: 'bearer' }),
    ).toEqual({ status: 200, body: '{}' });
    expect(await publish(first.url, appId, { 'X-Relay-Key': key, 'X-Relay-Secret': secret }, { by: 'key' })).toEqual({
      status: 200,
      body: '{}',
    });
    await eventually(() => received.filter(({ event }) => event === 'created').length === 3);
    expect(received.filter(({ event }) => event === 'created').map(({ data }) => data)).toEqual([
      { by: 'sdk' },
      { by: 'bearer' },
      { by: 'key' },
    ]);

    // Deleting the token: once kubectl returns, every relay refuses it.
    await cluster.kubectlOk(['-n', NAMESPACE, 'delete', 'relaytoken', 'ci', '--timeout=30s']);
    for (const relay of installation.relays) {
      const refused = await publish(relay.url, appId, { Authorization: `Bearer ${token['RELAY_TOKEN']}` }, {});
      expect(refused.status).toBe(401);
    }

    // Deleting the app: sockets closed with 4001, nothing works, no finalizer is left behind.
    const closed = new Promise<unknown>((resolve) => client.connection.bind('error', resolve));
    await cluster.kubectlOk(['-n', NAMESPACE, 'delete', 'relayapp', 'checkout', '--timeout=30s']);
    expect(await closed).toMatchObject({ data: { code: 4001 } });
    for (const relay of installation.relays) {
      expect(
        (await publish(relay.url, appId, { 'X-Relay-Key': key, 'X-Relay-Secret': secret }, {})).status,
      ).toBeGreaterThanOrEqual(400);
    }
    await expect(sdk.trigger('orders', 'created', {})).rejects.toMatchObject({ status: expect.any(Number) });
  });

  test('with Retain, an app that is applied again has its old keys', async () => {
    const retained = manifest('RelayApp', 'kept', { deletionPolicy: 'Retain' });
    await cluster.apply([retained]);
    await waitFor('relayapp/kept', 'Enforced');
    const before = await secretOf('kept-relay');
    await cluster.kubectlOk(['-n', NAMESPACE, 'delete', 'relayapp', 'kept', '--timeout=30s']);
    await cluster.apply([retained]);
    await waitFor('relayapp/kept', 'Enforced');
    expect(await secretOf('kept-relay')).toEqual(before);
  });

  test('kubectl get shows what matters', async () => {
    await cluster.apply([
      manifest('RelayApp', 'shown', {}),
      manifest('RelayToken', 'shown', { appRef: { name: 'shown' } }),
    ]);
    await waitFor('relayapp/shown', 'Enforced');
    await waitFor('relaytoken/shown', 'Enforced');
    const table = await cluster.kubectlOk(['-n', NAMESPACE, 'get', 'ra,rt']);
    expect(table).toMatch(/NAME\s+APP ID\s+READY\s+ENFORCED\s+ROTATES\s+AGE/);
    expect(table).toMatch(/relayapp\.relay-operator\.dev\/shown\s+\d+\s+True\s+True\s+\d+s/);
    expect(table).toMatch(/relaytoken\.relay-operator\.dev\/shown\s+shown\s+True\s+True\s+/);
  });
});
