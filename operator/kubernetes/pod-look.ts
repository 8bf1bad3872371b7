import { z } from 'zod';
import { relayOfWorker } from '#crds/directory/worker-id.ts';
import type { PodLook } from '../directory/pod-look.ts';
import type { KubernetesClient } from './client.ts';
import type { ResourceType } from './resource-type.ts';

const PODS: ResourceType = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

const pod = z.object({
  metadata: z.object({ uid: z.string() }),
  status: z.object({ phase: z.string().optional() }).optional(),
});

/**
 * Looks at the pod of a silent relay. Relays run in `namespace` and report their pod's name as id, a worker process with its
 * number behind it. A container that restarted in the same
 * pod reports as a newer boot by itself, so only the end of the whole pod is looked for here.
 */
export function kubernetesPodLook(client: KubernetesClient, namespace: string): PodLook {
  return {
    look: async ({ id, podUid }, signal) => {
      // A relay outside the cluster (or of an older chart) says no UID: nobody can say anything about it.
      if (podUid === null) return 'unknown';
      const found = await client.get<unknown>(PODS, { namespace, name: relayOfWorker(id) }, { signal });
      if (found === undefined) return 'gone';
      const parsed = pod.safeParse(found);
      if (!parsed.success) return 'unknown';
      if (parsed.data.metadata.uid !== podUid) return 'gone';
      const phase = parsed.data.status?.phase;
      return phase === 'Succeeded' || phase === 'Failed' ? 'gone' : 'alive';
    },
  };
}
