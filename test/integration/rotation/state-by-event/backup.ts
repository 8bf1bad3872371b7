import type pg from 'pg';

/** Everything that a database holds, table by table, as JSON. */
export type Backup = ReadonlyMap<string, string>;

/** As pg_dump, of the rows alone. */
export async function backUp(pool: pg.Pool): Promise<Backup> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  const each = rows.map(
    ({ name }) => `SELECT '${name}' AS name, coalesce(json_agg(t), '[]')::text AS content FROM "${name}" t`,
  );
  const tables = await pool.query<{ name: string; content: string }>(each.join(' UNION ALL '));
  return new Map(tables.rows.map(({ name, content }) => [name, content]));
}

/** As pg_restore: what came after the backup never was. Past the triggers that keep the audit log from being rewritten. */
export async function restore(pool: pg.Pool, backup: Backup): Promise<void> {
  const filled = [...backup].filter(([, content]) => content !== '[]');
  const statements = [
    'BEGIN',
    'SET LOCAL session_replication_role = replica',
    ...[...backup.keys()].map((name) => `DELETE FROM "${name}"`),
    ...filled.map(
      ([name, content]) =>
        `INSERT INTO "${name}" OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::"${name}", '${content.replaceAll("'", "''")}')`,
    ),
    'COMMIT',
  ];
  await pool.query(statements.join(';\n'));
}
