import type pg from 'pg';
import { TransientError } from '../engine/errors.ts';
import type { AppKeyRegistry } from '../registry/app-key-registry.ts';
import type { Subject } from '../registry/subject.ts';
import { announceIn } from './announcements.ts';
import { changeApp, IDENTITY, republished, setApp, type RegistryOptions } from './app-change.ts';
import { insertKey } from './app-rows.ts';
import { asTransient } from './backend-error.ts';
import { mintAppKey, mintAppSecret, mintKeyId } from './mint.ts';

/** The keys of the apps of the registry in PostgreSQL; see the port for what each method promises. */
export function createAppKeyRegistry(options: RegistryOptions): AppKeyRegistry {
  const { pool, rings, now } = options;

  /** Locks the app's row, and with it its keys: only a row of this identity, whatever the caller passes. */
  const stamp = (tx: pg.PoolClient, subject: Subject, appId: string, at: Date): Promise<void> =>
    setApp(options, tx, subject, appId, 'changed_at = $5', [at]);

  return {
    findClash: ({ namespace, name, appId }, key) =>
      asTransient(async () => {
        const { rows } = await pool.query<{ id: boolean; key: boolean }>(
          `SELECT EXISTS (SELECT FROM app WHERE app_id = $4 AND NOT (${IDENTITY})) AS id,
                  EXISTS (SELECT FROM public_key WHERE key = $5 AND app_id <> $4) AS key`,
          [rings.installation, namespace, name, appId, key],
        );
        if (rows[0]?.id === true) return 'appId';
        return rows[0]?.key === true ? 'key' : undefined;
      }),

    stageKey: (subject, appId, { rotates, imported, reason, request }) =>
      changeApp(options, subject, 'key.stage', async (tx) => {
        const at = new Date(now());
        await setApp(options, tx, subject, appId, 'changed_at = $5, rotate_request = coalesce($6, rotate_request)', [
          at,
          request,
        ]);
        const active = await tx.query<{ key: string }>(
          `SELECT key FROM app_key WHERE app_id = $1 AND state = 'Active'`,
          [appId],
        );
        const kept = rotates === 'Secret' ? active.rows[0]?.key : undefined;
        const minted = kept === undefined ? mintAppKey() : { key: kept, secret: mintAppSecret() };
        const { key, secret } = imported ?? minted;
        const origin = imported === null ? 'Minted' : 'Imported';
        const id = mintKeyId();
        await insertKey(tx, rings, appId, { id, key, secret, origin, state: 'Pending', cause: reason, at });
        const changes = await republished(options, tx, subject, appId);
        return { appId, changes, detail: { keyId: id, key, origin, reason, request } };
      }),

    promoteKey: (subject, appId, id, { overlap, deadline }, announce = []) =>
      changeApp(options, subject, 'key.promote', async (tx) => {
        const at = now();
        await setApp(options, tx, subject, appId, 'changed_at = $5, rotated_at = $5', [new Date(at)]);
        const former = await tx.query<{ id: string }>(
          `UPDATE app_key SET state = 'Retiring', retiring_at = $2, overlap_until = $3, expires_at = $4
            WHERE app_id = $1 AND state = 'Active' RETURNING id`,
          [appId, new Date(at), new Date(at + overlap), new Date(at + deadline)],
        );
        const { rowCount } = await tx.query(
          `UPDATE app_key SET state = 'Active', activated_at = $3 WHERE app_id = $1 AND id = $2 AND state = 'Pending'`,
          [appId, id, new Date(at)],
        );
        if (rowCount !== 1) throw changed(`key ${id} is not pending`);
        await announceIn(tx, options, announce);
        const changes = await republished(options, tx, subject, appId);
        return { appId, changes, detail: { keyId: id, retiring: former.rows.map((row) => row.id), overlap, deadline } };
      }),

    setKeyTimes: (subject, appId, id, times) =>
      changeApp(options, subject, 'key.set-times', async (tx) => {
        await stamp(tx, subject, appId, new Date(now()));
        const { rowCount } = await tx.query(
          `UPDATE app_key SET retiring_at = $3, overlap_until = $4, expires_at = $5 WHERE app_id = $1 AND id = $2 AND state = 'Retiring'`,
          [appId, id, new Date(times.since), new Date(times.overlapUntil), new Date(times.expiresAt)],
        );
        if (rowCount !== 1) throw changed(`key ${id} does not retire`);
        return { appId, changes: await republished(options, tx, subject, appId), detail: { keyId: id, ...times } };
      }),

    endKey: (subject, appId, id, inUse, announce = []) =>
      changeApp(options, subject, 'key.end', async (tx) => {
        await stamp(tx, subject, appId, new Date(now()));
        const { rows } = await tx.query<{ key: string }>(
          `DELETE FROM app_key WHERE app_id = $1 AND id = $2 AND state = 'Retiring' RETURNING key`,
          [appId, id],
        );
        if (rows[0] === undefined) throw changed(`key ${id} does not retire`);
        await announceIn(tx, options, announce);
        const changes = await republished(options, tx, subject, appId);
        return { appId, changes, detail: { keyId: id, key: rows[0].key, inUse } };
      }),

    noteKeyInUse: (subject, appId, id, announce = []) =>
      changeApp(options, subject, 'key.in-use', async (tx) => {
        const { rowCount } = await tx.query(
          `UPDATE app_key SET in_use_told = true FROM app
            WHERE ${IDENTITY} AND app.app_id = $4 AND app_key.app_id = app.app_id AND id = $5`,
          [rings.installation, subject.namespace, subject.name, appId, id],
        );
        if (rowCount === 1) await announceIn(tx, options, announce);
        return { appId, changes: [], detail: { keyId: id } };
      }),

    recordKeyRotationRequest: (subject, appId, value) =>
      changeApp(options, subject, 'app.record-request', async (tx) => {
        await setApp(options, tx, subject, appId, 'rotate_request = $5', [value]);
        return { appId, changes: [], detail: { request: value } };
      }),
  };
}

/** Somebody else was faster: look again. */
function changed(message: string): TransientError {
  return new TransientError('KeyChanged', message, { quiet: true });
}
