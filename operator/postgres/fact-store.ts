import type pg from 'pg';
import type { FactReport } from '#crds/facts/report.ts';
import { TransientError } from '../engine/errors.ts';
import type { FactStore, SourceChange } from '../facts/fact-store.ts';
import type { SourceState } from '../facts/progress.ts';
import type { DirectoryCommit } from './directory-commit.ts';
import { readDirectory } from './directory-row.ts';

/**
 * Remembers one kind of fact. Called with reports that are new, in the transaction that says so.
 * @param now epoch ms by the clock of this process: nothing that was told happened later
 */
export type FactWriter = (tx: pg.PoolClient, reports: readonly FactReport[], now: number) => Promise<void>;

export type FactStoreOptions = {
  readonly pool: pg.Pool;
  readonly commit: DirectoryCommit;
  /** One for each kind of fact. */
  readonly writers: readonly FactWriter[];
};

export function createFactStore({ pool, commit, writers }: FactStoreOptions): FactStore {
  return {
    load: async (term) => {
      const { rows } = await pool.query<SourceState>('SELECT replica, boot, seq, until, ended FROM fact_source');
      const knowledge = await pool.query<{ since: number }>('SELECT since FROM fact_knowledge');
      // Last: whoever led before writes no more once this term is the newest.
      await readDirectory(pool, term);
      return {
        sources: new Map(rows.map((row) => [row.replica, row])),
        since: knowledge.rows[0]?.since ?? Number.POSITIVE_INFINITY,
      };
    },
    commit: async ({ at, reports, sources, gone, since }) => {
      await commit.commit(async (tx) => {
        await moveSources(tx, sources);
        if (reports.length > 0) for (const write of writers) await write(tx, reports, at);
        if (gone.length > 0) await tx.query('DELETE FROM fact_source WHERE replica = ANY($1)', [gone]);
        if (since !== undefined) await tx.query('UPDATE fact_knowledge SET since = $1', [since]);
        return { result: undefined, changes: [], audit: [] };
      });
    },
  };
}

/** First of all, so that nobody else can be about to count the same reports. */
async function moveSources(tx: pg.PoolClient, changes: readonly SourceChange[]): Promise<void> {
  if (changes.length === 0) return;
  const { rows } = await tx.query<Pick<SourceState, 'replica' | 'boot' | 'seq'>>(
    'SELECT replica, boot, seq FROM fact_source WHERE replica = ANY($1) ORDER BY replica FOR UPDATE',
    [changes.map(({ now }) => now.replica)],
  );
  const held = new Map(rows.map((row) => [row.replica, row]));
  for (const { before, now } of changes) {
    const row = held.get(now.replica);
    if (row?.boot === before?.boot && row?.seq === before?.seq) continue;
    throw new TransientError('FactsReadElsewhere', 'what relays told was read further than this process knew');
  }
  await tx.query('DELETE FROM fact_source WHERE replica = ANY($1)', [[...held.keys()]]);
  // Of two that begin with the same source the second fails here.
  await tx.query(
    `INSERT INTO fact_source (replica, boot, seq, until, ended)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[])`,
    [
      changes.map(({ now }) => now.replica),
      changes.map(({ now }) => now.boot),
      changes.map(({ now }) => now.seq),
      changes.map(({ now }) => now.until),
      changes.map(({ now }) => now.ended),
    ],
  );
}
