import type { RefusalCode } from './refusals.ts';
import type { Door, Visit, VisitOf } from './visit.ts';

/**
 * `arrival`: needs the head of the request only, and runs before a body is read. `complete`: needs the body as well. `counted`: looks at
 * what was spent or claimed for this visit, which is done only for one that all other checks let pass: who cannot prove that an app is
 * theirs must not be able to use up what it may.
 */
export type Stage = 'arrival' | 'complete' | 'counted';

export type Check = {
  readonly name: string;
  readonly doors: readonly Door[];
  readonly stage: Stage;
  /** Every code that `refusal` may return; a test holds it to that. */
  readonly refuses: readonly RefusalCode[];
  /** undefined: pass. Only asked of visits at the check's doors: see gate.ts. */
  readonly refusal: (visit: Visit) => RefusalCode | undefined;
};

/** Types a check by its doors: `refusal` sees only visits of those. */
export function check<D extends Door, C extends RefusalCode>(row: {
  readonly name: string;
  readonly doors: readonly D[];
  readonly stage: Stage;
  readonly refuses: readonly C[];
  readonly refusal: (visit: VisitOf<D>) => C | undefined;
}): Check {
  return { ...row, refusal: row.refusal as Check['refusal'] };
}
