import { appEntryKey, certificateEntryKey, tokenEntryKey } from '#crds/directory/entry-body.ts';
import type { AppRegistry, AppRow } from '../registry/app-registry.ts';
import { announceIn } from './announcements.ts';
import { changeApp, IDENTITY, republished, setApp, type RegistryOptions } from './app-change.ts';
import { appEntry, insertKey, sealedHeaders, selectApp } from './app-rows.ts';
import { asTransient } from './backend-error.ts';
import { mintAppId, mintAppKey, mintKeyId } from './mint.ts';

/** Parameter $9: the annotation that an object has at first sight; one that has none leaves what was recorded. */
const RECORD = 'rotate_request = coalesce($9, rotate_request)';

/** The apps of the registry in PostgreSQL; see the port for what each method promises. */
export function createAppRegistry(options: RegistryOptions): AppRegistry {
  const { pool, commit, rings, now } = options;
  const { installation } = rings;

  return {
    findApp: (ref, uid) =>
      asTransient(() =>
        selectApp(
          pool,
          rings,
          `${IDENTITY} AND (state = 'Active' OR object_uid = $4) ORDER BY state = 'Active' DESC, changed_at DESC`,
          [installation, ref.namespace, ref.name, uid],
        ),
      ),

    findRetiredApp: (ref, appId): Promise<AppRow | undefined> =>
      asTransient(() =>
        appId === undefined
          ? selectApp(pool, rings, `${IDENTITY} AND state = 'Retained' ORDER BY changed_at DESC`, [
              installation,
              ref.namespace,
              ref.name,
            ])
          : selectApp(pool, rings, `${IDENTITY} AND state <> 'Active' AND app_id = $4`, [
              installation,
              ref.namespace,
              ref.name,
              appId,
            ]),
      ),

    registerApp: (subject, policy, headers, { request, imported } = {}) =>
      changeApp(options, subject, 'app.register', async (tx) => {
        const at = new Date(now());
        const { appId, key, secret } = imported ?? { appId: mintAppId(), ...mintAppKey() };
        const origin = imported === undefined ? 'Minted' : 'Imported';
        const first = {
          id: mintKeyId(),
          key,
          secret,
          origin,
          state: 'Active',
          cause: null,
          at,
          retirement: null,
        } as const;
        await tx.query(
          `INSERT INTO app (app_id, installation, namespace, name, object_uid, state, policy, webhook_headers, changed_at, created_at, rotate_request)
           VALUES ($1, $2, $3, $4, $5, 'Active', $6, $8, $7, $7, $9)`,
          [
            appId,
            installation,
            subject.namespace,
            subject.name,
            subject.uid,
            policy,
            at,
            sealedHeaders(rings, appId, headers),
            request ?? null,
          ],
        );
        await insertKey(tx, rings, appId, first);
        const changes = [appEntry(rings, subject, appId, policy, headers, [first])];
        return { appId, changes, detail: { key, keyId: first.id, origin } };
      }),

    takeBackApp: (subject, appId, policy, headers, { request } = {}) =>
      changeApp(options, subject, 'app.take-back', async (tx) => {
        const assignments = `state = 'Active', object_uid = $5, policy = $6, changed_at = $7, webhook_headers = $8, ${RECORD}`;
        const sealed = sealedHeaders(rings, appId, headers);
        const values = [subject.uid, policy, new Date(now()), sealed, request ?? null];
        await setApp(options, tx, subject, appId, assignments, values);
        return { appId, changes: await republished(options, tx, subject, appId) };
      }),

    updateApp: (subject, appId, policy, headers) =>
      changeApp(options, subject, 'app.update', async (tx) => {
        const sealed = sealedHeaders(rings, appId, headers);
        await setApp(options, tx, subject, appId, 'policy = $5, changed_at = $6, webhook_headers = $7', [
          policy,
          new Date(now()),
          sealed,
        ]);
        const detail = { policy, webhooksWithHeaders: [...headers.keys()] };
        return { appId, changes: await republished(options, tx, subject, appId), detail };
      }),

    rebindApp: (subject, appId, { request } = {}) =>
      changeApp(options, subject, 'app.rebind', async (tx) => {
        const assignments = `object_uid = $5, ${RECORD.replace('$9', '$6')}`;
        await setApp(options, tx, subject, appId, assignments, [subject.uid, request ?? null]);
        return { appId, changes: [] };
      }),

    retireApp: (subject, appId, policy, announce = []) =>
      changeApp(options, subject, 'app.retire', async (tx) => {
        const state = policy === 'Retain' ? 'Retained' : 'Deleted';
        // The headers are still in the Secret that they came from.
        await setApp(options, tx, subject, appId, `state = $5, changed_at = $6, webhook_headers = '{}'`, [
          state,
          new Date(now()),
        ]);
        await announceIn(tx, options, announce);
        return { appId, changes: [{ key: appEntryKey(appId), body: null }], detail: { policy } };
      }),

    purgeApps: (before) =>
      asTransient(async () => {
        const { result } = await commit.commit(async (tx) => {
          const { rows } = await tx.query<{ app_id: string; hashes: string[] | null; fingerprints: string[] | null }>(
            `SELECT app_id, (SELECT array_agg(sha256) FROM token WHERE token.app_id = app.app_id AND token.state <> 'Revoked') AS hashes,
                    (SELECT array_agg(sha256) FROM certificate
                      WHERE certificate.app_id = app.app_id AND certificate.state IN ('Active', 'Retiring')) AS fingerprints
               FROM app WHERE installation = $1 AND state = 'Deleted' AND changed_at < $2 FOR UPDATE`,
            [installation, new Date(before)],
          );
          const ids = rows.map((row) => row.app_id);
          await tx.query('DELETE FROM app WHERE app_id = ANY($1)', [ids]);
          const keys = rows.flatMap(({ app_id, hashes, fingerprints }) => [
            ...(hashes ?? []).map(tokenEntryKey),
            ...(fingerprints ?? []).map((sha256) => certificateEntryKey(app_id, sha256)),
          ]);
          return {
            result: ids,
            changes: keys.map((key) => ({ key, body: null })),
            audit: ids.map((appId) => ({
              actor: 'operator',
              action: 'app.purge',
              object: `App ${appId}`,
              detail: { appId },
            })),
          };
        });
        return result;
      }),
  };
}
