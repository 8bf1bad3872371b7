import { TerminalError } from './errors.ts';
import type { Priority } from './workqueue.ts';

/** What a reconcile says about its key: a result or an error, never both (after controller-runtime). */
export type Outcome =
  | { readonly kind: 'done' }
  /** Successful, and to be looked at again after `ms`, whatever happens. Priority `low` unless said otherwise. */
  | { readonly kind: 'requeueAfter'; readonly ms: number; readonly priority?: Priority }
  /** Failed; tried again with the key's exponential backoff. */
  | { readonly kind: 'retry'; readonly error: unknown }
  /** Failed; tried again only when the object changes. */
  | { readonly kind: 'terminal'; readonly error: unknown };

export const done: Outcome = { kind: 'done' };

export function requeueAfter(ms: number, priority?: Priority): Outcome {
  return priority === undefined ? { kind: 'requeueAfter', ms } : { kind: 'requeueAfter', ms, priority };
}

/** The outcome of a reconcile that threw: only a TerminalError is terminal, everything unknown is tried again. */
export function outcomeOf(error: unknown): Outcome {
  return error instanceof TerminalError ? { kind: 'terminal', error } : { kind: 'retry', error };
}
