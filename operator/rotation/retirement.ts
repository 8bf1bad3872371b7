import type { CredentialUse } from '../registry/credential-use.ts';

/** A credential that was replaced: until when it may work, whatever happens, and what is known of its use. All times epoch ms. */
export type Retiring = {
  /** When its successor was handed out. */
  readonly since: number;
  /** Both work that long, in ms, used or not. */
  readonly overlap: number;
  /** It goes that long after `since` at the latest, in ms, even if it is used: a thief must not be able to keep it alive. At least `overlap`. */
  readonly deadline: number;
  /** null: no relay ever told of a use. */
  readonly use: CredentialUse | null;
  /** Up to when every relay has told what was used; null: not known. */
  readonly useKnownUntil: number | null;
};

export type Retirement =
  /** Ask again at `until`, or when more is known. */
  | { readonly kind: 'overlap'; readonly until: number }
  /** The overlap is over and somebody still uses it, or nobody can say that nobody does. */
  | { readonly kind: 'inUse'; readonly until: number; readonly certain: boolean }
  /** It goes now. `inUse`: at its deadline, and whoever uses it is refused from now on. */
  | { readonly kind: 'end'; readonly inUse: boolean };

/** Nobody has used a credential that was quiet for this long, or for its overlap if that is shorter. */
export const MOST_QUIET_MS = 86_400_000;
/** A gap in what the relays tell that is longer than this leaves open whether it was used. */
const KNOWLEDGE_GAP_MS = 300_000;
/** How often to look again while one outlives its overlap. */
const LOOK_AGAIN_MS = 3_600_000;

/** Two-phase rotation: the old credential goes after the overlap *and* after it was seen unused, or at its deadline. Pure. */
export function judgeRetirement({ since, overlap, deadline, use, useKnownUntil }: Retiring, now: number): Retirement {
  const overlapEnd = since + overlap;
  if (now < overlapEnd) return { kind: 'overlap', until: overlapEnd };
  const quiet = Math.min(overlap, MOST_QUIET_MS);
  const quietFrom = (use?.lastUsedAt ?? Number.NEGATIVE_INFINITY) + quiet;
  const usedLately = now < quietFrom;
  const end = since + deadline;
  // As of its end: an operator that comes later finds that nobody uses what is refused.
  if (now >= end) return { kind: 'end', inUse: end < quietFrom };
  const certain = useKnownUntil !== null && now - useKnownUntil <= KNOWLEDGE_GAP_MS;
  if (!usedLately && certain) return { kind: 'end', inUse: false };
  const next = usedLately ? quietFrom : now + KNOWLEDGE_GAP_MS;
  return { kind: 'inUse', until: Math.min(end, Math.min(next, now + LOOK_AGAIN_MS)), certain: usedLately };
}

/**
 * Whether somebody is refused because a credential goes at `at`: whoever used it within the last day, or within its overlap if that is shorter.
 * @param quiet in ms
 */
export function wasInUse(
  use: CredentialUse | null | undefined,
  at: number,
  quiet = MOST_QUIET_MS,
): use is CredentialUse {
  return use !== null && use !== undefined && at < use.lastUsedAt + quiet;
}
