import type { FactReport } from '#crds/facts/report.ts';
import type { Progress, SourceState } from './progress.ts';

export type SourceChange = {
  /** As it was believed to be; undefined: not known. */
  readonly before: SourceState | undefined;
  readonly now: SourceState;
};

/** What one round of reading has brought. */
export type FactCommit = {
  /** Epoch ms by the clock of this process. */
  readonly at: number;
  /** Reports whose facts were not seen before. */
  readonly reports: readonly FactReport[];
  readonly sources: readonly SourceChange[];
  /** Sources that will say no more. */
  readonly gone: readonly string[];
  /** Something was lost; epoch ms. undefined: nothing was. */
  readonly since: number | undefined;
};

/**
 * What is remembered of facts, and how far each relay was read. Both change in one transaction, so that a report that is read twice, by
 * one leader or by two, counts once.
 */
export interface FactStore {
  /** Rejects with NotLeadingError when another term leads. */
  load(term: number): Promise<Progress>;
  /**
   * One transaction under the term of this process. Refused when a source is not as it was believed to be: a commit that was given up
   * may have gone through after all. After an error the outcome is unknown: load again.
   */
  commit(change: FactCommit): Promise<void>;
}
