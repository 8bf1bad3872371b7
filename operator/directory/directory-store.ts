import type { Admission } from '#crds/directory/admission.ts';
import type { Checkpoint, Head } from '#crds/directory/checkpoint.ts';
import type { Announcement, ReplicaReport } from '#crds/directory/report.ts';
import type { EntryRow, OutboxRow } from './registry-log.ts';

/**
 * What the publisher needs of Redis. Every method is one atomic step there, except `publish`, which is one per row. An error means
 * that the outcome is unknown: the step may have happened.
 */
export interface DirectoryStore {
  /** undefined: absent, or not a head. */
  head(): Promise<Head | undefined>;
  /**
   * Rule 3, one script per row: writes log, snapshot and head if head is at (epoch, previous), and refuses otherwise. Returns how many of
   * the rows were written, from the first on; what follows a refused one is refused as well.
   */
  publish(rows: readonly OutboxRow[]): Promise<number>;
  /** Rule 5: head is this checkpoint and the snapshot has that many entries → `beat + 1`, true. */
  beat(checkpoint: Checkpoint): Promise<boolean>;
  /** Adds entries to the snapshot of an epoch that head does not point to yet. */
  fill(epoch: number, entries: readonly EntryRow[]): Promise<void>;
  /** Rule 4: head becomes this checkpoint if it is absent or of a lower epoch, and the count agrees. */
  flip(checkpoint: Checkpoint): Promise<boolean>;
  /** Deletes snapshot and log of an epoch, unless head points to it. */
  discard(epoch: number): Promise<void>;
  reports(): Promise<ReadonlyMap<string, ReplicaReport>>;
  /** Deletes report and admission of a replica that has left, unless a newer boot has taken its id. */
  forget(id: string, nonce: string): Promise<void>;
  admit(id: string, admission: Admission): Promise<void>;
  /** Calls `listener` for reports as they arrive, best effort: what is missed here is in `reports()`. Returns how to stop. */
  onReport(listener: (announcement: Announcement) => void): () => void;
}
