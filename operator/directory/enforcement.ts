import type { Position } from '#crds/directory/position.ts';

export type MemberView = Position & {
  readonly id: string;
  readonly admitted: boolean;
  readonly rejected: ReadonlySet<string>;
  readonly silent: boolean;
  /** What it lacks (crds/directory/report.ts); undefined: it has not reported to this process yet. */
  readonly lacks: ReadonlySet<string> | undefined;
};

/** What this process knows of the relays, immutable. */
export type DirectoryView = {
  /** What the last check found published; (0, 0) while that is not known. */
  readonly head: Position;
  readonly members: readonly MemberView[];
};

export const UNKNOWN_VIEW: DirectoryView = Object.freeze({ head: { epoch: 0, revision: 0 }, members: [] });

/** A relay that needs longer than this to follow is worth a write of the status. */
export const PROPAGATING_AFTER_MS = 2_000;

/** What is asked of the relays. */
export type EnforcedQuestion = {
  /** The revision at which the entries of the object last changed. */
  readonly revision: number;
  readonly entryKeys: readonly string[];
};

export type EnforcedInput = EnforcedQuestion & {
  readonly view: DirectoryView;
  /** Milliseconds since that change, on a monotonic clock. */
  readonly since: number;
  /** The status already says True for this revision and generation. */
  readonly latched: boolean;
};

export type Enforced = {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: 'Publishing' | 'Rejected' | 'NoReplicas' | 'AllReplicas' | 'ReplicaUnreachable' | 'Propagating';
  readonly message: string;
  /** false: about to change by itself, not worth a write yet. */
  readonly settled: boolean;
  readonly asked: EnforcedQuestion;
};

type Verdict = Omit<Enforced, 'asked'>;

/**
 * Of what was never registered: every directory has this revision, so a relay that has loaded one of this epoch holds nothing of it. One that
 * still serves another epoch may, and is waited for.
 */
export const NOTHING_REGISTERED: EnforcedQuestion = { revision: 1, entryKeys: [] };

/** As `evaluateEnforced`, of {@link NOTHING_REGISTERED}. */
export function evaluateUnregistered({ view, latched }: Pick<EnforcedInput, 'view' | 'latched'>): Enforced {
  const verdict = evaluateEnforced({ view, ...NOTHING_REGISTERED, since: PROPAGATING_AFTER_MS, latched });
  if (verdict.status !== 'True') return verdict;
  return { ...verdict, message: 'nothing of it was ever registered: there is nothing that a relay could accept' };
}

/** The table of ARCHITECTURE.md ("Enforced"): the first row that fits. */
export function evaluateEnforced(input: EnforcedInput): Enforced {
  const { revision, entryKeys } = input;
  return { ...judge(input), asked: { revision, entryKeys } };
}

/** Whether the relays answer the question of a verdict otherwise by now. */
export function isOutdated({ status, reason, message, asked }: Enforced, view: DirectoryView): boolean {
  const now = judge({ ...asked, view, since: 0, latched: false });
  return now.status !== status || now.reason !== reason || now.message !== message;
}

function judge({ view, revision, entryKeys, since, latched }: EnforcedInput): Verdict {
  if (latched) return enforcedByAll();
  if (view.head.revision < revision) {
    return { status: 'False', reason: 'Publishing', message: 'not yet published to the relays', settled: true };
  }
  const rejecting = view.members.filter(({ rejected }) => entryKeys.some((key) => rejected.has(key)));
  if (rejecting.length > 0) {
    const message = `${names(rejecting)} cannot enforce this: an older version, or not the same DIRECTORY_KEYS`;
    return { status: 'False', reason: 'Rejected', message, settled: true };
  }
  if (view.members.length === 0) {
    return { status: 'Unknown', reason: 'NoReplicas', message: 'no relay is running', settled: true };
  }
  const missing = view.members.filter((member) => !agrees(member, view.head.epoch, revision));
  if (missing.length === 0) return enforcedByAll();
  const silent = missing.filter((member) => member.silent);
  if (silent.length === missing.length) {
    const message = `no word from ${names(silent)}, which may still serve an earlier state`;
    return { status: 'Unknown', reason: 'ReplicaUnreachable', message, settled: true };
  }
  const message = `waiting for ${names(missing)}`;
  return { status: 'False', reason: 'Propagating', message, settled: since >= PROPAGATING_AFTER_MS };
}

function agrees(member: MemberView, epoch: number, revision: number): boolean {
  return member.admitted && member.epoch === epoch && member.revision >= revision;
}

function enforcedByAll(): Verdict {
  return { status: 'True', reason: 'AllReplicas', message: 'every relay enforces this', settled: true };
}

const NAMED = 5;

/** Sorted and cut, so that the same state gives the same message, and a thousand relays do not fill a status. */
export function names(members: readonly Pick<MemberView, 'id'>[]): string {
  const ids = members.map(({ id }) => id).sort();
  const named = ids.slice(0, NAMED).join(', ');
  return ids.length > NAMED ? `${named} and ${ids.length - NAMED} more` : named;
}
