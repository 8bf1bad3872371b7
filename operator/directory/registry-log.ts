import type { Checkpoint, LogEntry } from '#crds/directory/checkpoint.ts';
import type { Position } from '#crds/directory/position.ts';

/** The `directory` row: where the truth stands. `keyId` is empty until the first leader. */
export type DirectoryRow = Omit<Checkpoint, 'mac'> & { readonly term: number };

/** A revision as it was committed. `text` is what goes into the log, byte for byte. */
export type OutboxRow = { readonly entry: LogEntry; readonly text: string };

export type EntryRow = { readonly key: string; readonly text: string };

/** A relay that counts until it is known to have left. */
export type ReplicaRow = {
  readonly id: string;
  readonly nonce: string;
  readonly podUid: string | null;
  readonly fenceAfterMs: number | null;
};

/**
 * What the publisher needs of PostgreSQL. Every method takes the term of the caller and throws NotLeadingError when a higher one exists;
 * other errors mean that PostgreSQL is away: try again later.
 */
export interface RegistryLog {
  /** Rule 1: `term + 1`. When the keyring lacks the key that signs the directory, everything is signed anew with its current key, in a new epoch. */
  takeOver(): Promise<DirectoryRow>;
  read(term: number): Promise<DirectoryRow>;
  /** Up to `limit` revisions of this epoch after `revision`, in order. */
  outboxAfter(term: number, after: Position, limit: number): Promise<OutboxRow[]>;
  /** The revision itself, if it is still kept and of this epoch. */
  outboxAt(term: number, at: Position): Promise<OutboxRow | undefined>;
  /**
   * Rule 4, one transaction: epoch and revision become 1 + the highest of PostgreSQL and `floor`; all entries are read in it.
   * `signWith`: sign everything anew with this key of the ring.
   */
  rebuild(term: number, floor: Position, signWith?: string): Promise<{ checkpoint: Checkpoint; entries: EntryRow[] }>;
  replicas(term: number): Promise<ReplicaRow[]>;
  saveReplica(term: number, replica: ReplicaRow): Promise<void>;
  /** Only while the row still is of this run. */
  removeReplica(term: number, id: string, nonce: string): Promise<void>;
  /** Drops what has been in the outbox for longer than `keepMs`. */
  pruneOutbox(term: number, keepMs: number): Promise<void>;
}
