import type pg from 'pg';
import type { CredentialUseFact } from '#crds/facts/credential-use.ts';
import type { CredentialUse, CredentialUses } from '../registry/credential-use.ts';
import { asTransient } from './backend-error.ts';
import type { DirectoryCommit } from './directory-commit.ts';
import type { FactWriter } from './fact-store.ts';

/** Adds up what the reports say; a relay whose clock is ahead keeps nothing in use. Of a credential that is gone, or never was, nothing is written. */
export const writeCredentialUses: FactWriter = async (tx, reports, now) => {
  const uses = sums(reports.flatMap(({ facts }) => facts.credentialUses ?? []));
  if (uses.length === 0) return;
  await tx.query(
    `INSERT INTO credential_use AS held (app_id, credential_id, last_used_at, requests, client)
     SELECT told.* FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::text[])
         AS told (app_id, credential_id, last_used_at, requests, client)
      WHERE ${lives('told')}
      ORDER BY told.app_id, told.credential_id
     ON CONFLICT (app_id, credential_id) DO UPDATE
        SET last_used_at = greatest(held.last_used_at, excluded.last_used_at),
            requests = held.requests + excluded.requests,
            client = CASE WHEN excluded.last_used_at < held.last_used_at THEN coalesce(held.client, excluded.client)
                          ELSE coalesce(excluded.client, held.client) END`,
    [
      uses.map(({ appId }) => appId),
      uses.map(({ credential }) => credential),
      uses.map(({ at }) => new Date(Math.min(at, now))),
      uses.map(({ requests }) => requests),
      uses.map(({ client }) => client),
    ],
  );
};

export type CredentialUseOptions = {
  readonly pool: pg.Pool;
  /** See CredentialUses. */
  readonly knownUntil: () => number | null;
};

export function createCredentialUses({ pool, knownUntil }: CredentialUseOptions): CredentialUses {
  return {
    knownUntil,
    of: (appId) =>
      asTransient(async () => {
        const { rows } = await pool.query<{ id: string; at: Date; requests: number; client: string | null }>(
          'SELECT credential_id AS id, last_used_at AS at, requests, client FROM credential_use WHERE app_id = $1',
          [appId],
        );
        return new Map(
          rows.map(({ id, at, requests, client }): [string, CredentialUse] => [
            id,
            { lastUsedAt: at.getTime(), requests, client },
          ]),
        );
      }),
  };
}

/** Forgets the uses of keys, tokens and certificates that are gone. Returns how many. */
export async function purgeCredentialUses(commit: DirectoryCommit): Promise<number> {
  const { result } = await commit.commit(async (tx) => {
    const { rowCount } = await tx.query(`DELETE FROM credential_use WHERE NOT (${lives('credential_use')})`);
    return { result: rowCount ?? 0, changes: [], audit: [] };
  });
  return result;
}

/** SQL: the credential of this row still lets somebody in, or may again. */
const lives = (row: string): string =>
  `EXISTS (SELECT FROM app_key WHERE app_key.app_id = ${row}.app_id AND app_key.id = ${row}.credential_id)
   OR EXISTS (SELECT FROM token WHERE token.app_id = ${row}.app_id AND token.id = ${row}.credential_id AND token.state <> 'Revoked')
   OR EXISTS (SELECT FROM certificate WHERE certificate.app_id = ${row}.app_id AND certificate.sha256 = ${row}.credential_id
                 AND certificate.state IN ('Active', 'Retiring'))`;

/** One line per credential: a statement may touch a row only once. */
function sums(facts: readonly CredentialUseFact[]): CredentialUseFact[] {
  const byCredential = new Map<string, CredentialUseFact>();
  for (const fact of facts) {
    const name = JSON.stringify([fact.appId, fact.credential]);
    const held = byCredential.get(name);
    byCredential.set(name, held === undefined ? fact : sum(held, fact));
  }
  return [...byCredential.values()];
}

function sum(a: CredentialUseFact, b: CredentialUseFact): CredentialUseFact {
  const [earlier, later] = a.at <= b.at ? [a, b] : [b, a];
  return { ...later, requests: a.requests + b.requests, client: later.client ?? earlier.client };
}
