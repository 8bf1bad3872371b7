import type { ListerWatcher } from '../engine/lister-watcher.ts';
import type { EngineObject } from '../engine/object.ts';
import type { KubernetesClient } from './client.ts';
import type { ResourceType } from './resource-type.ts';

export type SourceOptions = {
  /** Absent: all namespaces. One reflector per namespace feeds a store whose `scopes` name them. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
};

/** The objects of one resource type, as a Reflector wants them. */
export function listerWatcher<T extends EngineObject>(
  client: KubernetesClient,
  resource: ResourceType,
  selection: SourceOptions = {},
): ListerWatcher<T> {
  return {
    list: (options) => client.list<T>(resource, { ...selection, ...options }),
    watch: (options) => client.watch<T>(resource, { ...selection, ...options }),
  };
}
