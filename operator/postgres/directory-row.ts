import type pg from 'pg';
import { NotLeadingError } from '../directory/errors.ts';
import type { DirectoryRow } from '../directory/registry-log.ts';

type Row = { term: number; epoch: number; revision: number; digest: string; count: number; key_id: string };
type Queryable = Pick<pg.ClientBase, 'query'> | pg.Pool;
const COLUMNS = 'term, epoch, revision, digest, count, key_id';

const fromRow = ({ key_id: keyId, ...row }: Row): DirectoryRow => ({ ...row, keyId });

/** Throws NotLeadingError unless `term` is the newest. */
export async function readDirectory(db: Queryable, term: number): Promise<DirectoryRow> {
  return only(await db.query<Row>(`SELECT ${COLUMNS} FROM directory WHERE term = $1`, [term]));
}

/** Takes the lock of the row for the rest of the transaction: from here on, everything happens in the order of commits. */
export async function lockDirectory(tx: pg.PoolClient, term: number): Promise<DirectoryRow> {
  return only(await tx.query<Row>(`SELECT ${COLUMNS} FROM directory WHERE term = $1 FOR UPDATE`, [term]));
}

/** Rule 2: the next revision, under the lock. Returns the row as it was. */
export async function takeRevision(tx: pg.PoolClient, term: number): Promise<DirectoryRow> {
  const row = only(
    await tx.query<Row>(`UPDATE directory SET revision = revision + 1 WHERE term = $1 RETURNING ${COLUMNS}`, [term]),
  );
  return { ...row, revision: row.revision - 1 };
}

/** Rule 1. */
export async function takeTerm(tx: pg.PoolClient): Promise<DirectoryRow> {
  return only(await tx.query<Row>(`UPDATE directory SET term = term + 1 RETURNING ${COLUMNS}`));
}

/** Writes the row as a whole; the caller holds its lock. */
export async function writeDirectory(tx: pg.PoolClient, row: DirectoryRow): Promise<void> {
  only(
    await tx.query<Row>(
      `UPDATE directory SET epoch = $2, revision = $3, digest = $4, count = $5, key_id = $6 WHERE term = $1 RETURNING ${COLUMNS}`,
      [row.term, row.epoch, row.revision, row.digest, row.count, row.keyId],
    ),
  );
}

function only(result: pg.QueryResult<Row>): DirectoryRow {
  const [row] = result.rows;
  if (row === undefined) throw new NotLeadingError();
  return fromRow(row);
}
