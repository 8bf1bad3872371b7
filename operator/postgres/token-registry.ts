import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { Secret } from '#crds/keyring.ts';
import { TransientError } from '../engine/errors.ts';
import type { Announcements } from '../notifications/announcement.ts';
import type { Subject } from '../registry/subject.ts';
import type { RetireToken, TokenRegistry, TokenRow } from '../registry/token-registry.ts';
import { announceIn } from './announcements.ts';
import type { RegistryOptions } from './app-change.ts';
import { asTransient } from './backend-error.ts';
import { mintBearerToken } from './mint.ts';
import { dateOf, entry, idsOf, published, readRow, removal, replacing, type StoredRow } from './token-rows.ts';

/** Of the identity, whatever hash the caller passes. */
const ONE = 'installation = $1 AND namespace = $2 AND name = $3 AND sha256 = $4';
const ANY = 'installation = $1 AND namespace = $2 AND name = $3 AND sha256 = ANY($4)';

/**
 * A value counts only if it is the Active row's, so nothing rests on what was revoked: it tells `Enforced` its revision until another token
 * does, and people what was. The audit log has it for good.
 */
const FORGET_AFTER_MS = 30 * 86_400_000;

/** The tokens of the registry in PostgreSQL; see the port for what each method promises. */
export function createTokenRegistry(options: RegistryOptions): TokenRegistry {
  const { pool, commit, rings, now } = options;
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
      `UPDATE token SET state = 'Revoked', object_uid = $5, changed_at = $6 WHERE ${ANY} AND state <> 'Revoked' RETURNING *`,
      [...identity(subject), hashes, subject.uid, new Date(now())],
    );
    return rows.map(readRow);
  }

  async function retire(
    tx: pg.PoolClient,
    subject: Subject,
    tokens: readonly RetireToken[],
    at: number,
  ): Promise<TokenRow[]> {
    const retired: TokenRow[] = [];
    for (const { sha256, expiresAt, graceUntil } of tokens) {
      const { rows } = await tx.query<StoredRow>(
        `UPDATE token SET state = 'Retiring', retiring_at = $5, expires_at = $6, grace_until = $7, object_uid = $8, changed_at = $9
          WHERE ${ONE} AND state = 'Active' RETURNING *`,
        [
          ...identity(subject),
          sha256,
          new Date(at),
          dateOf(expiresAt),
          dateOf(graceUntil),
          subject.uid,
          new Date(now()),
        ],
      );
      retired.push(...rows.map(readRow));
    }
    return retired;
  }

  async function forget(tx: pg.PoolClient, subject: Subject): Promise<void> {
    await tx.query(
      `DELETE FROM token WHERE installation = $1 AND namespace = $2 AND name = $3 AND state = 'Revoked' AND changed_at < $4`,
      [...identity(subject), new Date(now() - FORGET_AFTER_MS)],
    );
  }

  async function touch(tx: pg.PoolClient, hashes: readonly string[]): Promise<void> {
    await tx.query('UPDATE token SET changed_at = $2 WHERE sha256 = ANY($1)', [hashes, new Date(now())]);
  }

  const identity = ({ namespace, name }: Subject): readonly string[] => [installation, namespace, name];

  return {
    findTokens: (ref, uid) =>
      asTransient(async () => {
        const { rows } = await pool.query<StoredRow>(
          `SELECT * FROM token WHERE installation = $1 AND namespace = $2 AND name = $3 AND (state <> 'Revoked' OR object_uid = COALESCE($4, object_uid))
            ORDER BY state = 'Revoked', CASE state WHEN 'Revoked' THEN revision END DESC, created_at DESC, sha256 LIMIT 100`,
          [installation, ref.namespace, ref.name, uid ?? null],
        );
        return rows.map(readRow);
      }),

    mintToken: (subject, mint) =>
      change(subject, 'token.mint', async (tx) => {
        const at = new Date(now());
        const minted = mintBearerToken(mint.environment);
        const retired = await retire(tx, subject, mint.retire, mint.at);
        const revoked = await revoke(tx, subject, mint.revoke);
        await forget(tx, subject);
        const { rows } = await tx.query<StoredRow>(
          `INSERT INTO token (sha256, id, app_id, installation, namespace, name, object_uid, environment, scopes, rate, state, expires_at, changed_at, created_at, activated_at, rotate_request)
           SELECT $1, $2, app_id, installation, namespace, $6, $7, $8, $11, $12, $13, $9, $10, $10, $14, $15 FROM app
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
            dateOf(mint.expiresAt),
            at,
            mint.policy.scopes,
            mint.policy.rate,
            mint.state,
            mint.state === 'Active' ? at : null,
            mint.rotateRequest,
          ],
        );
        // Retired since it was looked at, or never of this namespace.
        if (rows.length === 0)
          throw new TransientError('AppNotRegistered', `app ${mint.appId} is not registered in ${subject.namespace}`, {
            quiet: true,
          });
        await announceIn(tx, options, of([...retired, ...revoked], mint.announce));
        const replaced = replacing(subject, rows.map(readRow), retired, revoked);
        const { appId, state, policy } = mint;
        const detail = { appId, token: minted.id, state, ...policy, ...replaced.detail };
        return { ...replaced, detail, result: new Secret(minted.token) };
      }),

    promoteToken: (subject, promote) =>
      change(subject, 'token.promote', async (tx) => {
        const { rows: found } = await tx.query<StoredRow>(
          `SELECT * FROM token WHERE ${ONE} AND state = 'Pending' FOR UPDATE`,
          [...identity(subject), promote.sha256],
        );
        if (found.length === 0) return { result: undefined, hashes: [], changes: [], detail: {} };
        // The other one first: only one is Active at any time.
        const retired = await retire(tx, subject, promote.retire, promote.at);
        const revoked = await revoke(tx, subject, promote.revoke);
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET state = 'Active', activated_at = $5, rotate_request = $6, object_uid = $7, changed_at = $8 WHERE ${ONE} RETURNING *`,
          [
            ...identity(subject),
            promote.sha256,
            new Date(promote.at),
            promote.rotateRequest,
            subject.uid,
            new Date(now()),
          ],
        );
        await announceIn(tx, options, of([...retired, ...revoked], promote.announce));
        const promoted = rows.map(readRow);
        const replaced = replacing(subject, promoted, retired, revoked);
        return { ...replaced, detail: { tokens: idsOf(promoted), ...replaced.detail }, result: undefined };
      }),

    setTokenEnd: (subject, sha256, { expiresAt, graceUntil, final, announce = [] }) =>
      change(subject, 'token.set-end', async (tx) => {
        const { rows: before } = await tx.query<StoredRow>(
          `SELECT * FROM token WHERE ${ONE} AND state NOT IN ('Expired', 'Revoked') FOR UPDATE`,
          [...identity(subject), sha256],
        );
        if (before.length === 0) return { result: undefined, hashes: [], changes: [], detail: {} };
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET expires_at = $5, grace_until = $6, state = CASE WHEN $7 AND state = 'Retiring' THEN 'Ending' ELSE state END
            WHERE ${ONE} RETURNING *`,
          [...identity(subject), sha256, dateOf(expiresAt), dateOf(graceUntil), final],
        );
        await announceIn(tx, options, announce);
        const changed = rows.map(readRow);
        const detail = { tokens: idsOf(changed), expiresAt, graceUntil, final };
        const entries = changed.map((row) => entry(subject, row));
        // That it will not be put off any more concerns the operator alone.
        if (
          isDeepStrictEqual(
            entries,
            before.map(readRow).map((row) => entry(subject, row)),
          )
        )
          return { result: undefined, hashes: [], changes: [], detail };
        await touch(tx, [sha256]);
        return { result: undefined, hashes: [sha256], changes: entries, detail };
      }),

    expireTokens: (subject, hashes, announce = []) =>
      change(subject, 'token.expire', async (tx) => {
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET state = 'Expired', changed_at = $5 WHERE ${ANY} AND state IN ('Retiring', 'Ending') RETURNING *`,
          [...identity(subject), hashes, new Date(now())],
        );
        const expired = rows.map(readRow);
        await announceIn(tx, options, of(expired, announce));
        return { result: undefined, ...published(subject, expired) };
      }),

    recordRotateRequest: (subject, sha256, value) =>
      change(subject, 'token.record-request', async (tx) => {
        await tx.query(`UPDATE token SET rotate_request = $5 WHERE ${ONE} AND state <> 'Revoked'`, [
          ...identity(subject),
          sha256,
          value,
        ]);
        return { result: undefined, hashes: [], changes: [], detail: { value } };
      }),

    setTokenPolicy: (subject, hashes, { scopes, rate }) =>
      change(subject, 'token.set-policy', async (tx) => {
        const { rows } = await tx.query<StoredRow>(
          `UPDATE token SET scopes = $5, rate = $7, changed_at = $6 WHERE ${ANY} AND state <> 'Revoked' RETURNING *`,
          [...identity(subject), hashes, scopes, new Date(now()), rate],
        );
        const { detail, ...rest } = published(subject, rows.map(readRow));
        return { result: undefined, ...rest, detail: { ...detail, scopes, rate } };
      }),

    revokeTokens: (subject, hashes, reason, announce = []) =>
      change(subject, 'token.revoke', async (tx) => {
        const revoked = await revoke(tx, subject, hashes);
        await announceIn(tx, options, of(revoked, announce));
        return {
          result: undefined,
          hashes: revoked.map((row) => row.sha256),
          changes: revoked.map(removal),
          detail: { tokens: idsOf(revoked), reason },
        };
      }),
  };
}

/** Only of tokens that went with this change. */
function of(rows: readonly TokenRow[], announce: Announcements = []): Announcements {
  return announce.filter(({ occasion }) => rows.some(({ id }) => id === occasion.credentialId));
}
