import type pg from 'pg';
import { signCheckpoint, parseLogEntry } from '#crds/directory/checkpoint.ts';
import type { Position } from '#crds/directory/position.ts';
import type { Keyring } from '#crds/keyring.ts';
import { NotLeadingError } from '../directory/errors.ts';
import type { DirectoryRow, EntryRow, OutboxRow, RegistryLog, ReplicaRow } from '../directory/registry-log.ts';
import { signAnew } from '../directory/revision.ts';
import { lockDirectory, readDirectory, takeTerm, writeDirectory } from './directory-row.ts';
import { allEntries, replaceTexts } from './entries.ts';
import { inTransaction } from './transaction.ts';

export type RegistryLogOptions = {
  readonly pool: pg.Pool;
  /** DIRECTORY_KEYS. */
  readonly keyring: Keyring;
  /** Draws that many fresh bytes. */
  readonly random: (bytes: number) => Buffer;
};

/** The publisher's view of PostgreSQL. */
export function createRegistryLog({ pool, keyring, random }: RegistryLogOptions): RegistryLog {
  /** Moves everything to another key; the caller gives the row a new epoch, because the bytes change. */
  const signAll = async (
    tx: pg.PoolClient,
    row: DirectoryRow,
    keyId: string,
  ): Promise<{ row: DirectoryRow; entries: EntryRow[] }> => {
    const { entries, digest } = signAnew(keyring, keyId, await allEntries(tx), random);
    await replaceTexts(tx, entries);
    return { row: { ...row, keyId, digest, count: entries.length }, entries };
  };

  return {
    takeOver: () =>
      inTransaction(pool, async (tx) => {
        const row = await takeTerm(tx);
        if (keyring.ids().includes(row.keyId)) return row;
        const signed = await signAll(tx, row, keyring.current);
        const moved = { ...signed.row, epoch: row.epoch + 1, revision: row.revision + 1 };
        await writeDirectory(tx, moved);
        return moved;
      }),
    read: (term) => readDirectory(pool, term),
    outboxAfter: (term, after, limit) => outbox(pool, term, after, '>', limit),
    outboxAt: async (term, at) => (await outbox(pool, term, at, '=', 1))[0],
    rebuild: (term, floor, signWith) =>
      inTransaction(pool, async (tx) => {
        const locked = await lockDirectory(tx, term);
        const { row, entries } =
          signWith === undefined || signWith === locked.keyId
            ? { row: locked, entries: await allEntries(tx) }
            : await signAll(tx, locked, signWith);
        const moved: DirectoryRow = {
          ...row,
          epoch: 1 + Math.max(row.epoch, floor.epoch),
          revision: 1 + Math.max(row.revision, floor.revision),
        };
        await writeDirectory(tx, moved);
        return { checkpoint: signCheckpoint(keyring, moved), entries };
      }),
    replicas: async (term) => {
      const { rows } = await pool.query<ReplicaRow>(
        `SELECT id, nonce, pod_uid AS "podUid", fence_after_ms AS "fenceAfterMs" FROM replica`,
      );
      await readDirectory(pool, term);
      return rows;
    },
    saveReplica: async (term, { id, nonce, podUid, fenceAfterMs }) => {
      const { rowCount } = await pool.query(
        `INSERT INTO replica (id, nonce, pod_uid, fence_after_ms) SELECT $2, $3, $4, $5 FROM directory WHERE term = $1
         ON CONFLICT (id) DO UPDATE SET nonce = excluded.nonce, pod_uid = excluded.pod_uid, fence_after_ms = excluded.fence_after_ms`,
        [term, id, nonce, podUid, fenceAfterMs],
      );
      if (rowCount === 0) throw new NotLeadingError();
    },
    removeReplica: async (term, id, nonce) => {
      await pool.query(
        'DELETE FROM replica WHERE id = $2 AND nonce = $3 AND EXISTS (SELECT FROM directory WHERE term = $1)',
        [term, id, nonce],
      );
    },
    pruneOutbox: async (term, keepMs) => {
      await pool.query(
        `DELETE FROM outbox WHERE created_at < now() - make_interval(secs => $2) AND EXISTS (SELECT FROM directory WHERE term = $1)`,
        [term, keepMs / 1000],
      );
    },
  };
}

async function outbox(
  pool: pg.Pool,
  term: number,
  { epoch, revision }: Position,
  comparison: '>' | '=',
  limit: number,
): Promise<OutboxRow[]> {
  const { rows } = await pool.query<{ text: string }>(
    `SELECT log_entry AS text FROM outbox WHERE epoch = $2 AND revision ${comparison} $3
       AND EXISTS (SELECT FROM directory WHERE term = $1) ORDER BY revision LIMIT $4`,
    [term, epoch, revision, limit],
  );
  return rows.map(({ text }) => {
    const entry = parseLogEntry(text);
    if (entry === undefined) throw new Error('an outbox row cannot be read');
    return { entry, text };
  });
}
