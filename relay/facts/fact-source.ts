import type { Facts } from '#crds/facts/report.ts';

export type TakenFacts = {
  /** Empty: nothing is to be told. */
  readonly facts: Facts;
  /** Everything until then has been taken. Epoch ms. */
  readonly until: number;
  /** There is more than fits into one report. */
  readonly more: boolean;
};

/** What gathers facts between two reports. */
export interface FactSource {
  /**
   * What was taken is forgotten here: the reporter tells it until somebody has it.
   * @param now epoch ms
   * @param all the last time: nothing is held back
   */
  take(now: number, all: boolean): TakenFacts;
}
