import { randomUUID } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { beforeAll } from 'vitest';
import { API_VERSION, FIELD_MANAGER } from '#crds/api-group.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { EventRecorder } from '#operator/engine/events.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { createKubernetesWorld } from '#operator/kubernetes/world.ts';
import { worldContract } from '#test/contracts/world.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The same promises as the standalone folder's (standalone/folder/folder-world.test.ts), kept by a cluster.

describeOnControlPlane('a cluster as a World', (cluster) => {
  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '-f', 'crds/generated']);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  });

  worldContract(async () => {
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
  });
});
