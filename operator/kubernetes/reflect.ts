import type { Logger } from 'pino';
import type { Clock } from '../engine/clock.ts';
import type { EngineObject } from '../engine/object.ts';
import type { OutageLog } from '../engine/outage-log.ts';
import { Reflector } from '../engine/reflector.ts';
import type { Store } from '../engine/store.ts';
import type { KubernetesClient } from './client.ts';
import { listerWatcher } from './lister-watcher.ts';
import type { ResourceType } from './resource-type.ts';

export type ReflectOptions = {
  readonly client: KubernetesClient;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly outages: OutageLog;
};

export type NamedReflector = {
  readonly name: string;
  readonly reflector: Pick<Reflector<EngineObject>, 'run' | 'health'>;
};

/** The reflectors that keep one store: one for all namespaces, or one for each. The store's `scopes` must be the same. */
export function reflect<T extends EngineObject>(
  { client, namespaces, clock, log, outages }: ReflectOptions,
  store: Pick<Store<T>, 'replace' | 'upsert' | 'remove' | 'hasSynced'>,
  resource: ResourceType,
  { name: what = resource.plural, labelSelector }: { readonly name?: string; readonly labelSelector?: string } = {},
): readonly NamedReflector[] {
  const scopes = namespaces.length === 0 ? [undefined] : namespaces;
  return scopes.map((namespace) => {
    const name = namespace === undefined ? what : `${what} in ${namespace}`;
    const reflector = new Reflector<T>({
      name,
      source: listerWatcher<T>(client, resource, { namespace, labelSelector }),
      store,
      clock,
      random: Math.random,
      log,
      outages,
      ...(namespace === undefined ? {} : { scope: namespace }),
    });
    return { name, reflector };
  });
}
