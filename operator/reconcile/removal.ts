import { REASON } from '#crds/conditions.ts';
import type { Enforced } from '../directory/enforcement.ts';

/** How long a deletion waits for every relay before it lets go all the same: a silent relay must not wedge a namespace. */
export const REMOVAL_PATIENCE_MS = 60_000;

type RemovalProgress =
  | { readonly kind: 'enforced' }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Released with a Warning event that says which relay may still accept it. */
  | { readonly kind: 'unconfirmed'; readonly message: string };

/**
 * Whether a finalizer may go: the revocation is committed already, the question is whether every relay has dropped it.
 * @param since epoch ms of the revocation
 */
function removalProgress(verdict: Enforced | undefined, since: number, now: number): RemovalProgress {
  if (verdict === undefined || verdict.status === 'True' || verdict.reason === REASON.NoReplicas)
    return { kind: 'enforced' };
  const left = since + REMOVAL_PATIENCE_MS - now;
  if (left > 0) return { kind: 'wait', ms: Math.min(left, 1_000) };
  return { kind: 'unconfirmed', message: `deleted without every relay's word: ${verdict.reason}: ${verdict.message}` };
}

type RemovalStep =
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Warning'; readonly reason: string; readonly message: string };

/** The end of every kind's removal, once its credentials are revoked and its Secrets gone. */
export function planRelease(
  { enforced, revision, changedAt }: Revocation,
  now: number,
): {
  readonly steps: readonly RemovalStep[];
  readonly await?: number;
  readonly pending?: boolean;
  readonly outcome: { readonly kind: 'done' } | { readonly kind: 'requeueAfter'; readonly ms: number };
} {
  const progress = removalProgress(enforced, changedAt, now);
  const release = { do: 'RemoveFinalizer' } as const;
  switch (progress.kind) {
    case 'wait':
      return { steps: [], await: revision, pending: true, outcome: { kind: 'requeueAfter', ms: progress.ms } };
    case 'unconfirmed':
      return {
        steps: [{ do: 'Event', type: 'Warning', reason: 'RemovalUnconfirmed', message: progress.message }, release],
        outcome: { kind: 'done' },
      };
    case 'enforced':
      return { steps: [release], outcome: { kind: 'done' } };
  }
}

/** What was revoked last: at which revision, when (epoch ms), and what the relays say of it. */
type Revocation = { readonly enforced: Enforced | undefined; readonly revision: number; readonly changedAt: number };
