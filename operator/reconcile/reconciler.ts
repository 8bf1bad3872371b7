import { sameMeaning } from '../engine/conditions.ts';
import type { Reconcile } from '../engine/controller.ts';
import { TransientError } from '../engine/errors.ts';
import type { Enforced } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import type { PendingKeys } from './pending-keys.ts';
import type { Plan } from './plan.ts';
import { refOf, type ObjectRef } from '../world/object-ref.ts';

/** What the loop has to see of a snapshot: the object, and what the relays make of what is published for it. */
type Looked = { readonly object: { readonly status?: unknown }; readonly enforced: Enforced | undefined };

/** A kind, as its folder provides it: observe → plan → apply. */
export type Kind<Snapshot extends Looked, Step, Status> = {
  observe(ref: ObjectRef): Promise<Snapshot | undefined>;
  plan(snapshot: Snapshot): Plan<Step, Status>;
  apply(object: Snapshot['object'], step: Step): Promise<void>;
  writeStatus(object: Snapshot['object'], status: Status): Promise<void>;
  /** A status was written before all relays had answered. */
  onEarlyStatus?(): void;
};

/** A status waits this long for the relays, so that one write says both Ready and Enforced. */
const HOLD_MS = 500;
/** More rounds than any way through a plan has; reaching it means that two steps undo each other. */
const MAX_ROUNDS = 16;

/**
 * The loop of every kind: observe, plan, carry out the steps, and from the start again until nothing is left to do, so that each step is
 * decided from what really is, and a crash between any two needs no clean-up. The status is written last, and only when it says
 * something else than before.
 */
export function createReconcile<Snapshot extends Looked, Step, Status>(
  kind: Kind<Snapshot, Step, Status>,
  enforcement: Enforcement,
  pending: PendingKeys,
): Reconcile {
  return async (key, { signal }) => {
    const ref = refOf(key);
    let held: number | undefined;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      signal.throwIfAborted();
      const snapshot = await kind.observe(ref);
      if (snapshot === undefined) {
        pending.set(key, undefined);
        return { kind: 'done' };
      }
      const plan = kind.plan(snapshot);
      pending.set(key, plan.pending === true ? snapshot.enforced : undefined);
      for (const step of plan.steps) {
        signal.throwIfAborted();
        await kind.apply(snapshot.object, step);
      }
      if (plan.steps.length > 0) continue;
      // Once for each revision: a rotation has two.
      if (plan.await !== undefined && plan.await !== held) {
        held = plan.await;
        await enforcement.reached(plan.await, HOLD_MS, signal);
        continue;
      }
      if (plan.status !== undefined && !sameMeaning(plan.status, snapshot.object.status)) {
        signal.throwIfAborted();
        await kind.writeStatus(snapshot.object, plan.status);
        if (plan.await !== undefined) kind.onEarlyStatus?.();
      }
      return plan.outcome;
    }
    throw new TransientError('NotConverging', `still steps to take after ${MAX_ROUNDS} rounds`);
  };
}
