import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { inTransaction } from './transaction.ts';

export type Migration = { readonly number: number; readonly name: string; readonly sql: string };

/** The database was migrated by newer code: this process must not touch it. Update the operator. */
export class NewerDatabaseError extends Error {
  readonly code = 'newer_database';
  constructor(database: number, known: number) {
    super(`the database is at migration ${database}, this operator knows up to ${known}: run the newer operator`);
    this.name = 'NewerDatabaseError';
  }
}

const FILE = /^(\d{4})-([a-z0-9-]+)\.sql$/;
// Named advisory lock: any constant that nothing else in this database uses.
const MIGRATION_LOCK = 7_318_349_394_477_056;

/** Reads `0001-name.sql`, `0002-…`; throws when a number is missing or stands twice. */
export async function readMigrations(directory = join(import.meta.dirname, 'migrations')): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const file of (await readdir(directory)).sort()) {
    const match = FILE.exec(file);
    if (match?.[1] === undefined || match[2] === undefined)
      throw new Error(`${file} is not named 0001-what-it-does.sql`);
    migrations.push({ number: Number(match[1]), name: match[2], sql: await readFile(join(directory, file), 'utf8') });
  }
  for (const [index, { number }] of migrations.entries()) {
    if (number !== index + 1) throw new Error(`migration ${index + 1} is missing or stands twice`);
  }
  return migrations;
}

/**
 * Brings the database to the newest migration and returns the numbers that this call applied. Each runs once and in a transaction of its
 * own. Several processes may call this at once: the lock is taken per transaction, so it is also free again when one of them dies.
 * Throws {@link NewerDatabaseError} without a change when the database is ahead of the code.
 */
export async function migrate(pool: pg.Pool, migrations: readonly Migration[]): Promise<number[]> {
  const applied: number[] = [];
  for (;;) {
    const number = await inTransaction(pool, (tx) => applyNext(tx, migrations));
    if (number === undefined) return applied;
    applied.push(number);
  }
}

async function applyNext(tx: pg.PoolClient, migrations: readonly Migration[]): Promise<number | undefined> {
  // The wait for another process's migration may take longer than a usual statement.
  await tx.query('SET LOCAL statement_timeout = 0');
  await tx.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await tx.query(
    'CREATE TABLE IF NOT EXISTS migration (number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const { rows } = await tx.query<{ newest: number | null }>('SELECT max(number) AS newest FROM migration');
  const newest = rows[0]?.newest ?? 0;
  if (newest > migrations.length) throw new NewerDatabaseError(newest, migrations.length);
  const next = migrations[newest];
  if (next === undefined) return undefined;
  await tx.query(next.sql);
  await tx.query('INSERT INTO migration (number, name) VALUES ($1, $2)', [next.number, next.name]);
  return next.number;
}
