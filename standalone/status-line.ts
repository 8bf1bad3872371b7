import { CONDITION, REASON } from '#crds/conditions.ts';
import type { Condition } from '#crds/resource.ts';
import type { FolderObject } from './folder/object-file.ts';

/** `RelayApp default/demo: ready, enforced` */
export function statusLine({ kind, metadata: { namespace, name }, status }: FolderObject): string {
  const ready = find(status?.conditions, CONDITION.Ready);
  const enforced = find(status?.conditions, CONDITION.Enforced);
  const who = `${kind} ${namespace}/${name}`;
  if (ready === undefined) return `${who}: not looked at yet`;
  if (ready.status !== 'True') return `${who}: not ready: ${ready.reason}: ${ready.message}`;
  const how = ready.reason === 'Reconciled' ? 'ready' : `ready (${ready.message})`;
  return `${who}: ${how}${enforced?.status === 'True' ? ', enforced' : ''}${cautionOf(status?.conditions)}`;
}

/** Not of full access alone: that is what every token means that says nothing of scopes, and its status file says so. */
function cautionOf(conditions: readonly Condition[] | undefined): string {
  const warning = find(conditions, CONDITION.Warning);
  return warning === undefined || warning.reason === REASON.FullAccess ? '' : `, but ${warning.message}`;
}

/** Nothing is left to do for this version of the object: the relay has it, or a person must change something. */
export function isSettled({ metadata, status }: FolderObject): boolean {
  if (status?.observedGeneration !== metadata.generation) return false;
  const ready = find(status.conditions, CONDITION.Ready);
  if (ready === undefined) return false;
  // Comes by itself in a moment.
  if (ready.reason === REASON.AppNotReady) return false;
  if (ready.status !== 'True') return true;
  const enforced = find(status.conditions, CONDITION.Enforced);
  return enforced?.status === 'True' && enforced.observedGeneration === metadata.generation;
}

function find(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
