import { randomUUID } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { beforeAll, expect, test } from 'vitest';
import { API_VERSION, APP_SECRET_TYPE, FIELD_MANAGER, FINALIZER } from '#crds/api-group.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { EventRecorder } from '#operator/engine/events.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { createKubernetesWorld } from '#operator/kubernetes/world.ts';
import { worldContract, type WorldUnderTest } from '#test/contracts/world.ts';
import { eventually } from '#test/parts/eventually.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The same promises as the standalone folder's (standalone/folder/folder-world.test.ts), kept by a cluster.

describeOnControlPlane('a cluster as a World', (cluster) => {
  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '-f', 'crds/generated']);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  });

  const create = async (): Promise<WorldUnderTest> => {
    const namespace = `world-${randomUUID().slice(0, 8)}`;
    await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
    const log = pino({ level: 'silent' });
    const config = new KubeConfig();
    config.loadFromFile(cluster.adminKubeconfig);
    const connection = new Connection(config, systemClock);
    const client = new KubernetesClient({ connection, fieldManager: FIELD_MANAGER, userAgent: 'contract' });
    const recorder = new EventRecorder({
      sink: { write: () => Promise.resolve() },
      clock: systemClock,
      newId: randomUUID,
      log,
    });
    const world = createKubernetesWorld({ client, namespaces: [namespace], clock: systemClock, log, recorder });
    const stop = new AbortController();
    const running = world.run(stop.signal);
    await world.whenSynced(stop.signal);
    const kubectl = (...args: string[]): Promise<string> => cluster.kubectlOk(['-n', namespace, ...args]);
    return {
      world,
      namespace,
      declare: (kind, name, spec) =>
        cluster.apply([{ apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec }]),
      withdraw: async (kind, name) => void (await kubectl('delete', kind, name, '--wait=false')),
      writeSecret: (name, stringData) =>
        cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData }]),
      editSecret: async (name, key, value) => {
        await kubectl('patch', 'secret', name, '--type=merge', '-p', JSON.stringify({ stringData: { [key]: value } }));
      },
      deleteSecret: async (name) => void (await kubectl('delete', 'secret', name)),
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await running;
        await recorder[Symbol.asyncDispose]();
        await connection[Symbol.asyncDispose]();
        await cluster.kubectlOk(['delete', 'namespace', namespace, '--wait=false']);
      },
    };
  };
  worldContract(create);

  test('the API server refuses what the operator could not work with', async () => {
    await using under = await create();
    const template = (labels: object) => under.declare('RelayApp', 'odd', { credentials: { template: { labels } } });
    await expect(template({ 'a b': 'x' })).rejects.toThrow('a key must be a name such as team');
    await expect(template({ team: 'a b' })).rejects.toThrow('spec.credentials.template.labels.team');
    await template({ 'example.com/team': 'a_b.c' });
    const token = (expiresAt: string) => under.declare('RelayToken', 'odd', { appRef: { name: 'shop' }, expiresAt });
    for (const time of ['2027-01-01T00:00:00+99:99', '2027-01-01T00:00:00,5Z'])
      await expect(token(time)).rejects.toThrow('spec.expiresAt');
    await token('2027-01-01T00:00:00.5+05:30');
  });

  test('a Secret that is refused for another reason than its type is no lost race, whatever its name', async () => {
    await using under = await create();
    const refused = under.world.secrets.apply({
      namespace: under.namespace,
      name: 'prototype',
      type: APP_SECRET_TYPE,
      labels: { 'a b': 'x' },
      annotations: {},
      owner: { kind: 'RelayApp', name: 'shop', uid: randomUUID() },
      data: {},
    });
    await expect(refused).rejects.toMatchObject({ status: 422, quiet: false });
  });

  test("our finalizer goes also when a manifest that was exported with it holds it too; another's stays", async () => {
    await using under = await create();
    const { namespace, world } = under;
    const finalizers = [FINALIZER, 'example.com/other'];
    await cluster.apply([
      { apiVersion: API_VERSION, kind: 'RelayApp', metadata: { name: 'restored', namespace, finalizers }, spec: {} },
    ]);
    await under.withdraw('RelayApp', 'restored');
    const find = () => world.apps.get({ namespace, name: 'restored' });
    const marked = await eventually(() => {
      const found = find();
      return found?.metadata.deletionTimestamp !== undefined && found;
    });
    await world.apps.removeFinalizer(marked);
    expect(find()?.metadata.finalizers).toEqual(['example.com/other']);
    await cluster.kubectlOk([
      '-n',
      namespace,
      'patch',
      'relayapp',
      'restored',
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    ]);
    await eventually(() => find() === undefined);
  });
});
