import { CONDITION, REASON, type Reason } from '#crds/conditions.ts';
import type { Condition } from '#crds/resource.ts';
import type { Enforced } from '../directory/enforcement.ts';
import { mergeConditions } from '../engine/conditions.ts';

/** A condition before the merge, which adds lastTransitionTime. */
export type DesiredCondition = Omit<Condition, 'lastTransitionTime'>;

type Situation = { readonly former: readonly Condition[]; readonly now: number; readonly generation: number };

/** The conditions of a status: exactly these of ours, each as of `generation` unless it says itself of which. */
export function conditionsOf(
  { former, now, generation }: Situation,
  desired: readonly (DesiredCondition | undefined)[],
): Condition[] {
  const wanted = desired
    .filter((condition) => condition !== undefined)
    .map((condition) => ({ observedGeneration: generation, ...condition }));
  return [...mergeConditions(former, wanted, { now, owned: Object.values(CONDITION) })];
}

export function ready(reason: Reason, message: string): DesiredCondition {
  return { type: CONDITION.Ready, status: 'True', reason, message };
}

export function notReady(reason: Reason, message: string): DesiredCondition {
  return { type: CONDITION.Ready, status: 'False', reason, message };
}

export function credentialsReady(status: 'True' | 'False', reason: Reason, message: string): DesiredCondition {
  return { type: CONDITION.CredentialsReady, status, reason, message };
}

/** kstatus: only while True. A person must change something. */
export function stalled(reason: Reason, message: string): DesiredCondition {
  return { type: CONDITION.Stalled, status: 'True', reason, message };
}

/** kstatus: only while True. Waiting for something that comes by itself. */
function reconciling(reason: Reason, message: string): DesiredCondition {
  return { type: CONDITION.Reconciling, status: 'True', reason, message };
}

/** Of an object that has nothing to hand out yet: what is missing comes by itself. */
export function waiting(reason: Reason, message: string): readonly DesiredCondition[] {
  return [notReady(reason, message), credentialsReady('False', reason, message), reconciling(reason, message)];
}

/** The same, and a person must change something. */
export function blocked(reason: Reason, message: string): readonly DesiredCondition[] {
  return [notReady(reason, message), credentialsReady('False', reason, message), stalled(reason, message)];
}

/** Something that works and that somebody should look at all the same. */
export type Caution = { readonly reason: Reason; readonly message: string };

/** Only while there is one. Its reason is all of theirs, sorted; its message theirs in the order given. */
export function warning(cautions: readonly Caution[]): DesiredCondition | undefined {
  if (cautions.length === 0) return undefined;
  const reasons = [...new Set(cautions.map(({ reason }) => reason))].toSorted();
  const message = cautions.map((caution) => caution.message).join('; ');
  return { type: CONDITION.Warning, status: 'True', reason: reasons.join(','), message };
}

/** What a status says of the relays, and whether it is worth asking them again. */
export type EnforcedReport = {
  readonly condition: DesiredCondition | undefined;
  /** The relays are about to agree: worth half a second before a status is written. */
  readonly imminent: boolean;
  /** Not yet True. A report of a relay that changes it asks again by itself. */
  readonly pending: boolean;
  /** When to ask again without such a report, in ms; Infinity: not at all. */
  readonly askAgainIn: number;
  /** The condition is the former one and speaks of the former revision: the status must go on to name that, or it would be latched for this one. */
  readonly former: boolean;
};

/** Propagating becomes worth a write by the time alone. */
const WORTH_A_WRITE_MS = 2_000;
/** In case a word of the relays was missed. Sooner, whatever changed while no relay runs would be looked at all day long. */
const MISSED_MS = 60_000;

/**
 * Latched: once True for a revision and generation it stays, so that a rollout of relays writes no status.
 * Propagating is not written before it has lasted: until then the former condition stays, whose observedGeneration says how old it is.
 */
export function reportEnforced(
  enforced: Enforced | undefined,
  latched: boolean,
  former: Condition | undefined,
): EnforcedReport {
  const said = { condition: former, imminent: false, pending: false, askAgainIn: Number.POSITIVE_INFINITY };
  if (enforced === undefined || latched) return { ...said, former: false };
  const { status, reason, message, settled } = enforced;
  const pending = status !== 'True';
  const imminent = reason === REASON.Publishing || reason === REASON.Propagating;
  if (reason === REASON.Propagating && !settled) {
    return { condition: former, imminent, pending, askAgainIn: WORTH_A_WRITE_MS, former: former !== undefined };
  }
  const condition = { type: CONDITION.Enforced, status, reason, message };
  return { condition, imminent, pending, askAgainIn: pending ? MISSED_MS : Number.POSITIVE_INFINITY, former: false };
}

/** The revision that `Enforced` speaks of: that of the former condition as long as it stays, else the one that is published. */
export function reportedRevision(
  { former }: Pick<EnforcedReport, 'former'>,
  status: { readonly revision?: number | undefined } | undefined,
  published: { readonly revision: number } | undefined,
): { readonly revision?: number } {
  const revision = former ? status?.revision : published?.revision;
  return revision === undefined ? {} : { revision };
}

/** Whether `Enforced` was already True for this revision (undefined: nothing is registered) and generation. */
export function isLatched(
  conditions: readonly Condition[] | undefined,
  recordedRevision: number | undefined,
  revision: number | undefined,
  generation: number,
): boolean {
  const condition = conditions?.find((candidate) => candidate.type === CONDITION.Enforced);
  return condition?.status === 'True' && recordedRevision === revision && condition.observedGeneration === generation;
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
