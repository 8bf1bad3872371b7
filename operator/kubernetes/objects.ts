import { FINALIZER } from '#crds/api-group.ts';
import type { RelayObject } from '#crds/relay-object.ts';
import { hasFinalizer, withoutFinalizer } from '../engine/finalizers.ts';
import type { Store } from '../engine/store.ts';
import { keyOf } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';
import type { KubernetesClient } from './client.ts';
import { isNotFound } from './kubernetes-error.ts';
import type { ResourceType } from './resource-type.ts';

/** The objects of one kind in a cluster: read from the reflector's store, written by server-side apply. */
export function kubernetesObjects<T extends RelayObject>(
  client: KubernetesClient,
  resource: ResourceType,
  store: Pick<Store<T>, 'get' | 'upsert' | 'remove'>,
): Objects<T> {
  /** The object that is meant, in the state that was seen: another answer is a conflict. */
  const identity = ({ metadata: { namespace, name, uid, resourceVersion } }: T) => ({
    namespace,
    name,
    uid,
    resourceVersion,
  });

  /** A manifest that was exported and applied again, or a restored backup, holds our finalizer in another manager's name as well. */
  const strike = (object: T): Promise<T> => {
    const finalizers = withoutFinalizer(object, FINALIZER);
    return client.mergePatch<T>(resource, { metadata: { ...identity(object), finalizers } });
  };

  return {
    get: (ref) => store.get(keyOf(ref)),

    addFinalizer: async (object) => {
      store.upsert(await client.apply<T>(resource, { metadata: { ...identity(object), finalizers: [FINALIZER] } }));
    },

    removeFinalizer: async (object) => {
      try {
        // A field of ours that is left out is given up: whatever finalizers others hold stay.
        const given = await client.apply<T>(resource, { metadata: identity(object) });
        const left = hasFinalizer(given, FINALIZER) ? await strike(given) : given;
        if (left.metadata.deletionTimestamp !== undefined && (left.metadata.finalizers ?? []).length === 0)
          store.remove(left);
        else store.upsert(left);
      } catch (error) {
        if (!isNotFound(error)) throw error;
        store.remove(object);
      }
    },

    writeStatus: async (object, status) => {
      store.upsert(await client.applyStatus<T>(resource, { metadata: identity(object), status }));
    },
  };
}
