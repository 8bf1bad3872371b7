import { REASON } from '#crds/conditions.ts';
import type { Enforced } from '../directory/enforcement.ts';

/** How long a deletion waits for every relay before it lets go all the same: a silent relay must not wedge a namespace. */
export const REMOVAL_PATIENCE_MS = 60_000;

export type RemovalProgress =
  | { readonly kind: 'enforced' }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Released with a Warning event that says which relay may still accept it. */
  | { readonly kind: 'unconfirmed'; readonly message: string };

/**
 * Whether a finalizer may go: the revocation is committed already, the question is whether every relay has dropped it.
 * @param since epoch ms of the revocation
 */
export function removalProgress(verdict: Enforced | undefined, since: number, now: number): RemovalProgress {
  if (verdict === undefined || verdict.status === 'True' || verdict.reason === REASON.NoReplicas)
    return { kind: 'enforced' };
  const left = since + REMOVAL_PATIENCE_MS - now;
  if (left > 0) return { kind: 'wait', ms: Math.min(left, 1_000) };
  return { kind: 'unconfirmed', message: `deleted without every relay's word: ${verdict.reason}: ${verdict.message}` };
}
