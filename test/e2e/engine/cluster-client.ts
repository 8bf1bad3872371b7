import { randomUUID } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { systemClock } from '#operator/engine/clock.ts';
import { Reflector } from '#operator/engine/reflector.ts';
import { Store } from '#operator/engine/store.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import type { KubernetesClientOptions } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { listerWatcher } from '#operator/kubernetes/lister-watcher.ts';
import type { ResourceType } from '#operator/kubernetes/resource-type.ts';
import type { ApiCall } from '#operator/kubernetes/transport.ts';
import type { ClusterAccess } from '#test/parts/cluster-access.ts';

export const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export const NAMESPACES: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export type ConfigMap = {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
};

/** A log that is kept, for tests that count lines. */
export function keptLog() {
  const lines: string[] = [];
  const log = pino(
    { level: 'info' },
    {
      write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg),
    },
  );
  return { log, lines };
}

export function adminConfig(cluster: ClusterAccess): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(cluster.adminKubeconfig);
  return config;
}

/** A client whose writes are counted. */
export function countingClient(config: KubeConfig, options: Partial<KubernetesClientOptions> = {}) {
  const writes: ApiCall[] = [];
  const connection = new Connection(config, systemClock);
  const client = new KubernetesClient({
    connection,
    fieldManager: 'engine-test',
    userAgent: 'engine-test',
    onWrite: (call) => void writes.push(call),
    ...options,
  });
  return { client, writes, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
}

/** A namespace of a test's own. Nobody waits for its end: the control plane ends with the run. */
export async function ownNamespace(client: KubernetesClient): Promise<string> {
  const name = `engine-${randomUUID().slice(0, 8)}`;
  await client.apply(NAMESPACES, { metadata: { name } });
  return name;
}

/** Reflects the ConfigMaps of a namespace until disposed. */
export function reflect(
  client: KubernetesClient,
  namespace: string,
  { silenceMs, pageSize }: { readonly silenceMs?: number; readonly pageSize?: number } = {},
) {
  const { log, lines } = keptLog();
  const store = new Store<ConfigMap>({ log });
  const reflector = new Reflector({
    name: 'configmaps',
    source: listerWatcher<ConfigMap>(client, CONFIG_MAPS, { namespace }),
    store,
    clock: systemClock,
    random: Math.random,
    log,
    ...(silenceMs === undefined ? {} : { silenceMs }),
    ...(pageSize === undefined ? {} : { pageSize }),
  });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  return {
    store,
    reflector,
    lines,
    synced: () => store.whenSynced(AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)])),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

/** What a store and a list have to agree on: every object with its UID and version. */
export function inventory(objects: readonly ConfigMap[]): string[] {
  return objects.map(({ metadata: { name, uid, resourceVersion } }) => `${name} ${uid}@${resourceVersion}`).toSorted();
}
