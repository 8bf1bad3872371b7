/**
 * Where a relay's reports of facts go, one after the other, to be read by the operator.
 *
 * An adapter MUST keep the order of one relay's reports, and MUST NOT keep more than about MOST_WAITING of them: as long as nobody reads
 * them they are refused, because a relay can put into one report what would stand in a thousand.
 * It MUST NOT reject or wait long because it cannot be reached.
 */
export interface FactSink {
  /**
   * false: not added, or nobody knows; the same text may be given again.
   * @param last the relay ends and has no other chance: taken although many are waiting, up to MOST_LAST.
   */
  append(report: string, last: boolean): Promise<boolean>;
}

/** Some two minutes of twenty relays. */
export const MOST_WAITING = 500;
/** Restarts of relays during a long absence of the operator. */
export const MOST_LAST = 10_000;
