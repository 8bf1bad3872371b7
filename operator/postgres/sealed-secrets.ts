import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { appKeyField, webhookHeadersField } from '#crds/directory/entry-body.ts';
import { keyIdOf, seal, unseal, UnsealError } from '#crds/sealed.ts';
import type { Cursor, Round, SealedSecrets } from '../encryption/sealed-secrets.ts';
import { ownerOf, type Rings } from './app-rows.ts';

export type SealedSecretsOptions = { readonly pool: pg.Pool; readonly rings: Rings };

/** As `keyIdOf` (crds/sealed.ts). */
const keyOf = (column: string): string => `split_part(${column}, '.', 2)`;
const BATCH = 200;

// Nothing is locked between reading and writing: a row that is not as it was read has been written with the first key meanwhile. One row
// at a time: whoever locks several, as a reconcile does, cannot meet us in another order.
const UPDATE_KEY = `
  UPDATE app_key SET secret = $5
   WHERE app_id = $2 AND id = $3 AND secret = $4 AND EXISTS (SELECT FROM directory WHERE term = $1)`;
const UPDATE_HEADERS = `
  UPDATE app SET webhook_headers = $4
   WHERE app_id = $2 AND webhook_headers = $3 AND EXISTS (SELECT FROM directory WHERE term = $1)`;

export function createSealedSecrets({ pool, rings }: SealedSecretsOptions): SealedSecrets {
  const { installation, encryption } = rings;
  const others = encryption.ids().filter((id) => id !== encryption.current);

  /** Sealed with the first key; as it is if it already was, and if it does not open: whoever needs it says so. */
  const anew = (appId: string, field: string, sealed: string): string => {
    if (keyIdOf(sealed) === encryption.current) return sealed;
    const owner = ownerOf(rings, appId);
    try {
      return seal(encryption, owner, field, unseal(encryption, owner, field, sealed), randomBytes(12));
    } catch (error) {
      if (error instanceof UnsealError) return sealed;
      throw error;
    }
  };

  const appKeys = async (term: number, [appId = '', id = '']: readonly string[]): Promise<Round> => {
    const { rows } = await pool.query<{ app_id: string; id: string; secret: string }>(
      `SELECT app_id, id, secret FROM app_key JOIN app USING (app_id)
        WHERE installation = $1 AND (app_id, id) > ($2, $3) AND ${keyOf('secret')} = ANY($4) ORDER BY app_id, id LIMIT $5`,
      [installation, appId, id, others, BATCH],
    );
    let sealed = 0;
    for (const row of rows) {
      const secret = anew(row.app_id, appKeyField(row.id), row.secret);
      if (secret === row.secret) continue;
      const { rowCount } = await pool.query(UPDATE_KEY, [term, row.app_id, row.id, row.secret, secret]);
      sealed += rowCount ?? 0;
    }
    const last = rows.length === BATCH ? rows.at(-1) : undefined;
    const next: Cursor = last === undefined ? HEADERS : { table: 'app_key', after: [last.app_id, last.id] };
    return { sealed, next };
  };

  const webhookHeaders = async (term: number, [appId = '']: readonly string[]): Promise<Round> => {
    const { rows } = await pool.query<{ app_id: string; before: Record<string, string> }>(
      `SELECT app_id, webhook_headers AS before FROM app WHERE installation = $1 AND app_id > $2
          AND EXISTS (SELECT FROM jsonb_each_text(webhook_headers) WHERE ${keyOf('value')} = ANY($3)) ORDER BY app_id LIMIT $4`,
      [installation, appId, others, BATCH],
    );
    let sealed = 0;
    for (const { app_id, before } of rows) {
      const headers = Object.entries(before).map(
        ([webhook, text]) => [webhook, anew(app_id, webhookHeadersField(webhook), text)] as const,
      );
      const changed = headers.filter(([webhook, text]) => text !== before[webhook]).length;
      if (changed === 0) continue;
      const { rowCount } = await pool.query(UPDATE_HEADERS, [term, app_id, before, Object.fromEntries(headers)]);
      sealed += rowCount === 1 ? changed : 0;
    }
    const last = rows.length === BATCH ? rows.at(-1) : undefined;
    return { sealed, next: last === undefined ? undefined : { table: 'app', after: [last.app_id] } };
  };

  return {
    sealAnew: (term, { table, after } = KEYS) =>
      table === 'app_key' ? appKeys(term, after) : webhookHeaders(term, after),
    count: async () => {
      const { rows } = await pool.query<{ key: string; count: number }>(
        `SELECT ${keyOf('sealed')} AS key, count(*)::int AS count FROM (
           SELECT secret AS sealed FROM app_key JOIN app USING (app_id) WHERE installation = $1
           UNION ALL SELECT value FROM app, jsonb_each_text(webhook_headers) WHERE installation = $1
         ) AS secrets GROUP BY 1`,
        [installation],
      );
      return new Map(rows.map(({ key, count }) => [key, count]));
    },
  };
}

const KEYS: Cursor = { table: 'app_key', after: [] };
const HEADERS: Cursor = { table: 'app', after: [] };
