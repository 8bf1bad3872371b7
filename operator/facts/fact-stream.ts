export type StoredReport = { /** Names it to `drop`. */ readonly id: string; readonly text: string };

/** Where the reports of all relays wait. An error means that it could not be asked, or that the outcome is unknown. */
export interface FactStream {
  /** The oldest, in the order in which they came. What was not dropped is read again. */
  read(limit: number): Promise<readonly StoredReport[]>;
  /** Repeating it is harmless. */
  drop(ids: readonly string[]): Promise<void>;
}
