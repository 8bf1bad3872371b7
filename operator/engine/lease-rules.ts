import type { LeaseRecord } from './lease-lock.ts';

/** What this candidate has seen of a lease, by its own clocks alone. */
export type Observation = {
  readonly record: LeaseRecord;
  /** This machine's monotonic milliseconds when the record was first seen to be as it is. */
  readonly since: number;
};

/** Takes in what was just read. Only a record that differs counts as a sign of life of its holder. */
export function observe(before: Observation | undefined, record: LeaseRecord, now: number): Observation {
  return before !== undefined && sameRecord(before.record, record) ? before : { record, since: now };
}

export type Verdict =
  /** Nobody holds it, or its holder was silent for a whole lease duration: try to take it. */
  | { readonly action: 'acquire' }
  /** It is ours: write a new renew time. */
  | { readonly action: 'renew' }
  | { readonly action: 'wait'; readonly holder: string; readonly ms: number };

/**
 * What a candidate may do with a lease, after client-go's leaderelection: the holder is believed for `leaseDurationSeconds` after the last
 * change that this candidate saw. Times of other machines, which the record is full of, are never compared with ours.
 */
export function evaluate(observation: Observation | undefined, me: string, now: number): Verdict {
  if (observation === undefined || observation.record.holderIdentity === '') return { action: 'acquire' };
  const { holderIdentity, leaseDurationSeconds } = observation.record;
  if (holderIdentity === me) return { action: 'renew' };
  const left = observation.since + leaseDurationSeconds * 1000 - now;
  return left > 0 ? { action: 'wait', holder: holderIdentity, ms: left } : { action: 'acquire' };
}

/** The record that a candidate writes to take or to renew the lease. `time` is a V1MicroTime. */
export function claim(
  before: LeaseRecord | undefined,
  me: string,
  { time, leaseDurationSeconds }: { readonly time: string; readonly leaseDurationSeconds: number },
): LeaseRecord {
  const kept = before?.holderIdentity === me;
  return {
    holderIdentity: me,
    leaseDurationSeconds,
    acquireTime: kept ? before.acquireTime : time,
    renewTime: time,
    leaseTransitions: before === undefined ? 0 : before.leaseTransitions + (kept ? 0 : 1),
  };
}

/** The record that gives the lease back, so that the next leader need not wait. */
export function released(before: LeaseRecord, time: string): LeaseRecord {
  return { ...before, holderIdentity: '', leaseDurationSeconds: 1, renewTime: time };
}

function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderIdentity === b.holderIdentity &&
    a.renewTime === b.renewTime &&
    a.acquireTime === b.acquireTime &&
    a.leaseTransitions === b.leaseTransitions &&
    a.leaseDurationSeconds === b.leaseDurationSeconds
  );
}
