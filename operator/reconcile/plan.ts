import type { Outcome } from '../engine/outcome.ts';

/** What the plan of every kind says. */
export type Plan<Step, Status> = {
  /** Empty when the world is as declared. */
  readonly steps: readonly Step[];
  /** What the status shall say once there are no steps left; absent while there are, and once the object may go. */
  readonly status?: Status;
  /** The revision that the status should wait for a moment, so that one write says both Ready and Enforced. */
  readonly await?: number;
  /** The relays have not all agreed yet: to be looked at again when what they say of it changes. */
  readonly pending?: boolean;
  /** A plan cannot fail: what goes wrong goes wrong in a step. */
  readonly outcome: Extract<Outcome, { readonly kind: 'done' | 'requeueAfter' }>;
};
