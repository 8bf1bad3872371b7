import type pg from 'pg';
import type { EntryVersion } from '#crds/directory/digest.ts';
import type { EntryRow, OutboxRow } from '../directory/registry-log.ts';

export async function heldVersions(tx: pg.PoolClient, keys: readonly string[]): Promise<EntryVersion[]> {
  const { rows } = await tx.query<EntryVersion>('SELECT key, revision FROM entry WHERE key = ANY($1)', [keys]);
  return rows;
}

export async function allEntries(tx: pg.PoolClient): Promise<EntryRow[]> {
  const { rows } = await tx.query<EntryRow>('SELECT key, text FROM entry');
  return rows;
}

/** Writes the changed entries of one revision, and the revision to the outbox. */
export async function writeRevision(
  tx: pg.PoolClient,
  { outbox, upserts, removals }: { outbox: OutboxRow; upserts: readonly EntryRow[]; removals: readonly string[] },
): Promise<void> {
  const { epoch, revision } = outbox.entry;
  if (removals.length > 0) await tx.query('DELETE FROM entry WHERE key = ANY($1)', [removals]);
  if (upserts.length > 0) {
    await tx.query(
      `INSERT INTO entry (key, revision, text) SELECT key, $1, text FROM unnest($2::text[], $3::text[]) AS changed (key, text)
       ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, text = excluded.text`,
      [revision, upserts.map(({ key }) => key), upserts.map(({ text }) => text)],
    );
  }
  await tx.query('INSERT INTO outbox (revision, epoch, log_entry) VALUES ($1, $2, $3)', [revision, epoch, outbox.text]);
}

/** Replaces the texts of entries whose revisions stay. */
export async function replaceTexts(tx: pg.PoolClient, entries: readonly EntryRow[]): Promise<void> {
  await tx.query(
    'UPDATE entry SET text = signed.text FROM unnest($1::text[], $2::text[]) AS signed (key, text) WHERE entry.key = signed.key',
    [entries.map(({ key }) => key), entries.map(({ text }) => text)],
  );
}
