import type pg from 'pg';
import { tokenEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { Secret } from '#crds/keyring.ts';
import type { Rate } from '#crds/rate.ts';
import { TransientError } from '../engine/errors.ts';
import type { Registry } from '../registry/registry.ts';
import type { Subject } from '../registry/subject.ts';
import type { TokenRow } from '../registry/token-registry.ts';
import type { RegistryOptions } from './app-change.ts';
import { asTransient } from './backend-error.ts';
import { mintBearerToken } from './mint.ts';

type StoredRow = {
  sha256: string;
  id: string;
  app_id: string;
  object_uid: string;
  environment: TokenRow['environment'];
  scopes: string[] | null;
  rate: Rate | null;
  state: TokenRow['state'];
  expires_at: Date | null;
  revision: number;
  changed_at: Date;
};

type TokenRegistry = Pick<Registry, 'findTokens' | 'mintToken' | 'setTokenExpiry' | 'setTokenPolicy' | 'revokeTokens'>;

/** The tokens of the registry in PostgreSQL; see the port for what each method promises. */
export function createTokenRegistry({ pool, commit, rings, now }: RegistryOptions): TokenRegistry {
  const { installation } = rings;

  /** One change of tokens of one object: rows, entries and audit in one transaction, the rows stamped with the revision. */
  async function change<T>(
    subject: Subject,
    action: string,
    work: (tx: pg.PoolClient) => Promise<{
      result: T;
      hashes: readonly string[];
      changes: readonly EntryChange[];
      detail: Record<string, unknown>;
    }>,
  ): Promise<T> {
    return asTransient(async () => {
      const committed = await commit.commit(async (tx) => {
        const { result, hashes, changes, detail } = await work(tx);
        return {
          result,
          changes,
          audit: [
            {
              actor: 'operator',
              action,
              object: `RelayToken ${subject.namespace}/${subject.name}`,
              detail: { uid: subject.uid, ...detail },
            },
          ],
          stamp: async (stamping, revision) => {
            await stamping.query('UPDATE token SET revision = $2 WHERE sha256 = ANY($1)', [hashes, revision]);
          },
        };
      });
      return committed.result;
    });
  }

  /** Only rows of this identity, whatever the caller passes: no object can end another one's tokens. */
  async function revoke(tx: pg.PoolClient, subject: Subject, hashes: readonly string[]): Promise<TokenRow[]> {
    const { rows } = await tx.query<StoredRow>(
      `UPDATE token SET state = 'Revoked', object_uid = $5, changed_at = $6
        WHERE installation = $1 AND namespace = $2 AND name = $3 AND sha256 = ANY($4) AND state <> 'Revoked' RETURNING *`,
      [installation, subject.namespace, subject.name, hashes, subject.uid, new Date(now())],
    );
    return rows.map(readRow);
  }

  return {
    findTokens: (ref, uid) =>
      asTransient(async () => {
        const { rows } = await pool.query<StoredRow>(
          `SELECT * FROM token WHERE installation = $1 AND namespace = $2 AND name = $3 AND (state <> 'Revoked' OR object_uid = $4)
            ORDER BY created_at DESC, sha256 LIMIT 100`,
          [installation, ref.namespace, ref.name, uid],
        );
        return rows.map(readRow);
      }),

    mintToken: (subject, mint) =>
      change(subject, 'token.mint', async (tx) => {
        const at = new Date(now());
        const minted = mintBearerToken(mint.environment);
        const retired: TokenRow[] = [];
        for (const { sha256, until } of mint.retire) {
          const { rows } = await tx.query<StoredRow>(
            `UPDATE token SET state = 'Retiring', expires_at = $5, object_uid = $6, changed_at = $7
              WHERE installation = $1 AND namespace = $2 AND name = $3 AND sha256 = $4 AND state = 'Active' RETURNING *`,
            [installation, subject.namespace, subject.name, sha256, new Date(until), subject.uid, at],
          );
          retired.push(...rows.map(readRow));
        }
        const revoked = await revoke(tx, subject, mint.revoke);
        const { rows } = await tx.query<StoredRow>(
          `INSERT INTO token (sha256, id, app_id, installation, namespace, name, object_uid, environment, scopes, rate, state, expires_at, changed_at, created_at)
           SELECT $1, $2, app_id, installation, namespace, $6, $7, $8, $11, $12, 'Active', $9, $10, $10 FROM app
            WHERE app_id = $3 AND installation = $4 AND namespace = $5 AND state = 'Active' RETURNING *`,
          [
            minted.sha256,
            minted.id,
            mint.appId,
            installation,
            subject.namespace,
            subject.name,
            subject.uid,
            mint.environment,
            mint.expiresAt === null ? null : new Date(mint.expiresAt),
            at,
            mint.policy.scopes,
            mint.policy.rate,
          ],
        );
        // Retired since it was looked at, or never of this namespace.
        if (rows.length === 0)
          throw new TransientError('AppNotRegistered', `app ${mint.appId} is not registered in ${subject.namespace}`, {
            quiet: true,
          });
        const put = [...rows.map(readRow), ...retired];
        return {
          result: new Secret(minted.token),
          hashes: [...put, ...revoked].map((row) => row.sha256),
          changes: [...put.map((row) => entry(subject, row)), ...revoked.map(removal)],
          detail: {
            appId: mint.appId,
            token: minted.id,
            ...mint.policy,
            retired: retired.map((row) => row.id),
            revoked: revoked.map((row) => row.id),
          },
        };
      }),

    setTokenExpiry: (subject, sha256, expiresAt) =>
      change(subject, 'token.set-expiry', async (tx) => {
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET expires_at = $5, changed_at = $6
            WHERE installation = $1 AND namespace = $2 AND name = $3 AND sha256 = $4 AND state <> 'Revoked' RETURNING *`,
          [
            installation,
            subject.namespace,
            subject.name,
            sha256,
            expiresAt === null ? null : new Date(expiresAt),
            new Date(now()),
          ],
        );
        const changed = rows.map(readRow);
        return {
          result: undefined,
          hashes: changed.map((row) => row.sha256),
          changes: changed.map((row) => entry(subject, row)),
          detail: { tokens: changed.map((row) => row.id), expiresAt },
        };
      }),

    setTokenPolicy: (subject, hashes, { scopes, rate }) =>
      change(subject, 'token.set-policy', async (tx) => {
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET scopes = $5, rate = $7, changed_at = $6
            WHERE installation = $1 AND namespace = $2 AND name = $3 AND sha256 = ANY($4) AND state <> 'Revoked' RETURNING *`,
          [installation, subject.namespace, subject.name, hashes, scopes, new Date(now()), rate],
        );
        const changed = rows.map(readRow);
        return {
          result: undefined,
          hashes: changed.map((row) => row.sha256),
          changes: changed.map((row) => entry(subject, row)),
          detail: { tokens: changed.map((row) => row.id), scopes, rate },
        };
      }),

    revokeTokens: (subject, hashes, reason) =>
      change(subject, 'token.revoke', async (tx) => {
        const revoked = await revoke(tx, subject, hashes);
        return {
          result: undefined,
          hashes: revoked.map((row) => row.sha256),
          changes: revoked.map(removal),
          detail: { tokens: revoked.map((row) => row.id), reason },
        };
      }),
  };
}

function readRow(row: StoredRow): TokenRow {
  return {
    sha256: row.sha256,
    id: row.id,
    appId: row.app_id,
    objectUid: row.object_uid,
    environment: row.environment,
    policy: { scopes: row.scopes, rate: row.rate },
    state: row.state,
    expiresAt: row.expires_at?.getTime() ?? null,
    revision: row.revision,
    changedAt: row.changed_at.getTime(),
  };
}

function entry({ namespace, name }: Subject, row: TokenRow): EntryChange {
  const { id, appId, environment, expiresAt } = row;
  const { scopes, rate } = row.policy;
  const policy = { scopes: scopes === null ? null : [...scopes], rate };
  const body = { id, appId, namespace, name, environment, expiresAt, ...policy };
  return { key: tokenEntryKey(row.sha256), body };
}

function removal(row: TokenRow): EntryChange {
  return { key: tokenEntryKey(row.sha256), body: null };
}
