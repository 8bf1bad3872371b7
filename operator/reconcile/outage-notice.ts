import { FINALIZER } from '#crds/api-group.ts';
import { CONDITION, REASON } from '#crds/conditions.ts';
import type { RelayObject } from '#crds/relay-object.ts';
import type { Condition } from '#crds/resource.ts';
import { mergeConditions } from '../engine/conditions.ts';
import { hasFinalizer } from '../engine/finalizers.ts';
import { requestedRotation } from '../rotation/rotate-request.ts';
import { findCondition } from './conditions.ts';

const MESSAGE =
  'the operator cannot reach PostgreSQL: what is asked for here is done when it can; until then what was published before stays in force';

/**
 * The conditions of an object for which something waits until PostgreSQL is back; undefined: nothing does, or they say so already. What was
 * said before stays, with its generation: it is still true. The next reconcile writes the whole status, and this goes with it.
 * @param now epoch ms
 */
export function outageConditions(object: RelayObject, now: number): Condition[] | undefined {
  if (!isWaiting(object)) return undefined;
  const former = object.status?.conditions ?? [];
  const said = {
    status: 'True',
    reason: REASON.DatabaseUnavailable,
    message: MESSAGE,
    observedGeneration: object.metadata.generation,
  } as const;
  const wanted = [
    // kubectl get shows something of an object that is new.
    ...(findCondition(former, CONDITION.Ready) === undefined
      ? [{ ...said, type: CONDITION.Ready, status: 'False' } as const]
      : []),
    { ...said, type: CONDITION.Reconciling },
  ];
  const conditions = mergeConditions<string>(former, wanted, { now, owned: [] });
  return conditions === former ? undefined : [...conditions];
}

/** An edit, a deletion or a rotation that was asked for, and of which the status does not know. */
function isWaiting({ metadata, status, kind }: RelayObject): boolean {
  if (metadata.deletionTimestamp !== undefined) return hasFinalizer({ metadata }, FINALIZER);
  if (status?.observedGeneration !== metadata.generation) return true;
  // Of what is not Ready the status does not say which request was acted on.
  if (findCondition(status.conditions, CONDITION.Ready)?.status !== 'True') return false;
  const handled = 'handledRequests' in status ? status.handledRequests?.rotate : undefined;
  const requested = kind === 'ClientCertificate' ? undefined : requestedRotation(metadata);
  return requested !== undefined && requested !== handled;
}
