import type pg from 'pg';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import type { Keyring } from '#crds/keyring.ts';
import { NotLeadingError } from '../directory/errors.ts';
import { lastChanges, nextRevision } from '../directory/revision.ts';
import type { ChangeKind } from '../directory/propagation-times.ts';
import { appendAudit } from './audit.ts';
import type { AuditRecord } from './audit.ts';
import { lockDirectory, takeRevision, writeDirectory } from './directory-row.ts';
import { heldVersions, writeRevision } from './entries.ts';
import { inTransaction } from './transaction.ts';

export type CommitWork<T> = {
  readonly result: T;
  readonly changes: readonly EntryChange[];
  readonly audit: readonly AuditRecord[];
  /** Called in the same transaction once the revision is known, for rows that carry it. */
  readonly stamp?: (tx: pg.PoolClient, revision: number) => Promise<void>;
};

export interface DirectoryCommit {
  /**
   * One transaction: runs `work`, then as late as possible locks the directory row of my term, takes the revision (only if there are
   * changes), writes entry, outbox and audit rows, and commits. Wakes the publisher afterwards. `revision` is null without changes.
   * Throws NotLeadingError when another term leads, also without changes: registry writes of a deposed leader are fenced.
   * After a lost connection the outcome is unknown; the caller repeats its work, which must be idempotent.
   */
  commit<T>(work: (tx: pg.PoolClient) => Promise<CommitWork<T>>): Promise<{ result: T; revision: number | null }>;
}

export type DirectoryCommitOptions = {
  readonly pool: pg.Pool;
  /** DIRECTORY_KEYS. */
  readonly keyring: Keyring;
  /** The term of the publisher that leads in this process; undefined: none does. */
  readonly term: () => number | undefined;
  /** Called after a commit that has a revision: wakes the publisher. */
  readonly onCommitted: (revision: number, change: ChangeKind) => void;
};

export function createDirectoryCommit({ pool, keyring, term, onCommitted }: DirectoryCommitOptions): DirectoryCommit {
  return {
    commit: async (work) => {
      const mine = term();
      if (mine === undefined) throw new NotLeadingError('this operator does not lead the directory (yet)');
      const done = await inTransaction(pool, async (tx) => {
        const { result, changes, audit, stamp } = await work(tx);
        if (changes.length === 0) {
          await lockDirectory(tx, mine);
          await appendAudit(tx, audit);
          return { result, revision: null, change: 'other' as const };
        }
        const revision = await writeChanges(tx, keyring, mine, changes);
        await appendAudit(tx, audit);
        await stamp?.(tx, revision);
        const change: ChangeKind = changes.some(({ body }) => body === null) ? 'removal' : 'other';
        return { result, revision, change };
      });
      if (done.revision !== null) onCommitted(done.revision, done.change);
      return { result: done.result, revision: done.revision };
    },
  };
}

async function writeChanges(
  tx: pg.PoolClient,
  keyring: Keyring,
  term: number,
  changes: readonly EntryChange[],
): Promise<number> {
  const last = lastChanges(changes);
  const row = await takeRevision(tx, term);
  const held = await heldVersions(
    tx,
    last.map(({ key }) => key),
  );
  const next = nextRevision(keyring, row, held, last);
  await writeRevision(tx, next);
  await writeDirectory(tx, { ...next.outbox.entry, term });
  return next.outbox.entry.revision;
}
