import { createHash } from 'node:crypto';
import type pg from 'pg';

export type AuditRecord = {
  /** Who: a user, a service account, or the operator itself. */
  readonly actor: string;
  readonly action: string;
  /** What it was done to, e.g. `RelayToken shop/publisher`. */
  readonly object: string;
  /** JSON; never a secret. */
  readonly detail: Record<string, unknown>;
};

type Link = { readonly id: number; readonly at: string; readonly hash: string };

/** Appends to the chain. The caller holds the lock of the directory row: it makes one chain out of all transactions. */
export async function appendAudit(tx: pg.PoolClient, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  const newest = await tx.query<{ id: number; hash: string }>('SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1');
  let { id, hash } = newest.rows[0] ?? { id: 0, hash: '' };
  for (const record of records) {
    id += 1;
    const at = new Date().toISOString();
    hash = auditHash(hash, { id, at }, record);
    const { actor, action, object, detail } = record;
    await tx.query(
      'INSERT INTO audit (id, at, actor, action, object, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)',
      [id, at, actor, action, object, JSON.stringify(detail), hash],
    );
  }
}

/** The id of the first row that does not follow from the one before it; undefined when the whole chain is sound. Reads in pages. */
export async function firstBrokenAudit(db: pg.Pool): Promise<number | undefined> {
  let previous: Link = { id: 0, at: '', hash: '' };
  for (;;) {
    const { rows } = await db.query<Omit<Link, 'at'> & { at: Date } & AuditRecord>(
      'SELECT id, at, actor, action, object, detail, hash FROM audit WHERE id > $1 ORDER BY id LIMIT 1000',
      [previous.id],
    );
    if (rows.length === 0) return undefined;
    for (const row of rows) {
      const link = { id: row.id, at: row.at.toISOString() };
      const expected = auditHash(previous.hash, link, row);
      if (row.id !== previous.id + 1 || row.hash !== expected) return row.id;
      previous = { ...link, hash: expected };
    }
  }
}

/** sha256(previous hash ‖ canonical JSON), hex. */
export function auditHash(previous: string, link: Pick<Link, 'id' | 'at'>, record: AuditRecord): string {
  const { actor, action, object, detail } = record;
  const text = canonicalJson({ id: link.id, at: link.at, actor, action, object, detail });
  return createHash('sha256').update(previous).update(text).digest('hex');
}

/** Keys sorted at every level, so that the text survives jsonb, which does not keep their order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
