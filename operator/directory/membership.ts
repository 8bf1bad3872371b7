import type { Position } from '#crds/directory/position.ts';
import { ORIGIN } from '#crds/directory/position.ts';
import type { ReplicaReport } from '#crds/directory/report.ts';
import type { ReplicaRow } from './registry-log.ts';

/** Three beats of a relay: one may be lost, one may be late. */
export const SILENT_AFTER_MS = 6_000;

export type Member = {
  readonly id: string;
  readonly nonce: string;
  readonly podUid: string | null;
  readonly fenceAfterMs: number | null;
  /** The newest report of this run; undefined after a restart of the operator or a flush of Redis, until it reports again. */
  readonly report: ReplicaReport | undefined;
  /** When this process last saw it make progress, on its own monotonic clock. */
  readonly heardAt: number;
  /** PostgreSQL has its row: only then may it be admitted. */
  readonly saved: boolean;
};

/** Who counts (rule 10). A replica counts from its first report on, until it is known to have left. */
export type Membership = {
  readonly members: ReadonlyMap<string, Member>;
  /**
   * The last beat heard of each run that has ended or seems to have. A late report of a dead process says nothing new and does not bring
   * it back. One that beats on is alive after all: not to count a relay that serves would be worse than to wait for one.
   */
  readonly ended: ReadonlyMap<string, number>;
};

const ENDED_KEPT = 1_000;

export type Departure = { readonly id: string; readonly nonce: string; readonly why: 'bye' | 'pod_gone' | 'fenced' };

/** What a new leader starts from. Nobody is silent yet: silence is measured by this process. */
export function startMembership(rows: readonly ReplicaRow[], now: number): Membership {
  const members = rows.map((row): [string, Member] => [
    row.id,
    { ...row, report: undefined, heardAt: now, saved: true },
  ]);
  return { members: new Map(members), ended: new Map() };
}

/** Takes in reports, from wherever they come and in any order. Returns the same object when nothing changed. */
export function hear(
  membership: Membership,
  reports: Iterable<readonly [id: string, report: ReplicaReport]>,
  now: number,
): Membership {
  let { members, ended } = membership;
  for (const [id, report] of reports) {
    if (report.beat <= (ended.get(report.nonce) ?? -1)) continue;
    const known = members.get(id);
    const sameRun = known?.nonce === report.nonce;
    // Also after a Redis rollback: what it says then is older than what we know.
    if (sameRun && known.report !== undefined && known.report.beat >= report.beat) continue;
    if (known !== undefined && !sameRun) ended = withEnded(ended, known);
    const member: Member = {
      id,
      nonce: report.nonce,
      podUid: report.podUid,
      fenceAfterMs: report.fenceAfterMs,
      report,
      heardAt: now,
      saved: sameRun && known.saved && known.fenceAfterMs === report.fenceAfterMs,
    };
    members = new Map(members).set(id, member);
  }
  return members === membership.members && ended === membership.ended ? membership : { members, ended };
}

export function isSilent(member: Member, now: number): boolean {
  return now - member.heardAt > SILENT_AFTER_MS;
}

/** Rule 10, as far as it needs no look at a pod: `bye`, and a fence that must have closed by now. */
export function departures(membership: Membership, now: number): Departure[] {
  const result: Departure[] = [];
  for (const { id, nonce, report, fenceAfterMs, heardAt } of membership.members.values()) {
    if (report?.bye === true) result.push({ id, nonce, why: 'bye' });
    // 1.5: the clocks of two machines may run at different speeds.
    else if (fenceAfterMs !== null && now - heardAt > 1.5 * fenceAfterMs + 5_000)
      result.push({ id, nonce, why: 'fenced' });
  }
  return result;
}

/** Removes a run, unless a newer boot has taken its id meanwhile. */
export function depart(membership: Membership, { id, nonce }: Pick<Departure, 'id' | 'nonce'>): Membership {
  const member = membership.members.get(id);
  if (member?.nonce !== nonce) return membership;
  const members = new Map(membership.members);
  members.delete(id);
  return { members, ended: withEnded(membership.ended, member) };
}

export function markSaved(membership: Membership, { id, nonce, fenceAfterMs }: ReplicaRow): Membership {
  const member = membership.members.get(id);
  if (member?.nonce !== nonce || member.fenceAfterMs !== fenceAfterMs) return membership;
  return { ...membership, members: new Map(membership.members).set(id, { ...member, saved: true }) };
}

/** The highest position that any replica says it has reached. */
export function highestReport(membership: Membership): Position {
  let { epoch, revision } = ORIGIN;
  for (const { report } of membership.members.values()) {
    epoch = Math.max(epoch, report?.epoch ?? 0);
    revision = Math.max(revision, report?.revision ?? 0);
  }
  return { epoch, revision };
}

function withEnded(ended: ReadonlyMap<string, number>, { nonce, report }: Member): ReadonlyMap<string, number> {
  const kept = [...ended].filter(([other]) => other !== nonce).slice(1 - ENDED_KEPT);
  return new Map([...kept, [nonce, report?.beat ?? 0]]);
}
