import type pg from 'pg';
import { appEntryKey, tokenEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { TransientError } from '../engine/errors.ts';
import type { Channels } from '../notifications/announcement.ts';
import type { AppPolicy, AppRow, WebhookHeaders } from '../registry/app-registry.ts';
import type { Registry } from '../registry/registry.ts';
import type { Subject } from '../registry/subject.ts';
import { appEntry, insertKey, sealedHeaders, selectApp, type Rings } from './app-rows.ts';
import { asTransient } from './backend-error.ts';
import type { DirectoryCommit } from './directory-commit.ts';
import { mintAppId, mintAppKey } from './mint.ts';

export type RegistryOptions = {
  readonly pool: pg.Pool;
  readonly commit: DirectoryCommit;
  readonly rings: Rings;
  readonly now: () => number;
  /** By which ways people can be told. Default: by none. */
  readonly channels?: Channels;
};

type AppRegistry = Pick<
  Registry,
  'findApp' | 'findRetiredApp' | 'registerApp' | 'takeBackApp' | 'updateApp' | 'rebindApp' | 'retireApp' | 'purgeApps'
>;

/** The apps of the registry in PostgreSQL; see the port for what each method promises. */
export function createAppRegistry({ pool, commit, rings, now }: RegistryOptions): AppRegistry {
  const { installation } = rings;
  const identity = 'installation = $1 AND namespace = $2 AND name = $3';

  /** One change of one app: row, entry and audit in one transaction, the row stamped with the revision. */
  async function change(
    subject: Subject,
    action: string,
    work: (
      tx: pg.PoolClient,
    ) => Promise<{ appId: string; changes: readonly EntryChange[]; detail?: Record<string, unknown> }>,
  ): Promise<void> {
    await asTransient(() =>
      commit.commit(async (tx) => {
        const { appId, changes, detail = {} } = await work(tx);
        return {
          result: undefined,
          changes,
          audit: [
            { actor: 'operator', action, object: objectOf(subject), detail: { appId, uid: subject.uid, ...detail } },
          ],
          stamp: async (stamping, revision) => {
            await stamping.query('UPDATE app SET revision = $2 WHERE app_id = $1', [appId, revision]);
          },
        };
      }),
    );
  }

  /** Only a row of this identity, whatever the caller passes: no object can change another one's app. */
  async function set(
    tx: pg.PoolClient,
    subject: Subject,
    appId: string,
    assignments: string,
    values: readonly unknown[],
  ): Promise<void> {
    const { rowCount } = await tx.query(`UPDATE app SET ${assignments} WHERE ${identity} AND app_id = $4`, [
      installation,
      subject.namespace,
      subject.name,
      appId,
      ...values,
    ]);
    if (rowCount !== 1) throw notRegistered(subject, appId);
  }

  async function republish(
    tx: pg.PoolClient,
    subject: Subject,
    appId: string,
    policy: AppPolicy,
    headers: WebhookHeaders,
  ): Promise<readonly EntryChange[]> {
    const row = await selectApp(tx, rings, `app_id = $4 AND ${identity}`, [
      installation,
      subject.namespace,
      subject.name,
      appId,
    ]);
    if (row === undefined) throw notRegistered(subject, appId);
    return [appEntry(rings, subject, appId, policy, headers, row.keys)];
  }

  return {
    findApp: (ref, uid) =>
      asTransient(() =>
        selectApp(
          pool,
          rings,
          `${identity} AND (state = 'Active' OR object_uid = $4) ORDER BY state = 'Active' DESC, changed_at DESC`,
          [installation, ref.namespace, ref.name, uid],
        ),
      ),

    findRetiredApp: (ref, appId): Promise<AppRow | undefined> =>
      asTransient(() =>
        appId === undefined
          ? selectApp(pool, rings, `${identity} AND state = 'Retained' ORDER BY changed_at DESC`, [
              installation,
              ref.namespace,
              ref.name,
            ])
          : selectApp(pool, rings, `${identity} AND state <> 'Active' AND app_id = $4`, [
              installation,
              ref.namespace,
              ref.name,
              appId,
            ]),
      ),

    registerApp: (subject, policy, headers) =>
      change(subject, 'app.register', async (tx) => {
        const at = new Date(now());
        const appId = mintAppId();
        const key = mintAppKey(at);
        await tx.query(
          `INSERT INTO app (app_id, installation, namespace, name, object_uid, state, policy, webhook_headers, changed_at, created_at)
           VALUES ($1, $2, $3, $4, $5, 'Active', $6, $8, $7, $7)`,
          [
            appId,
            installation,
            subject.namespace,
            subject.name,
            subject.uid,
            policy,
            at,
            sealedHeaders(rings, appId, headers),
          ],
        );
        await insertKey(tx, rings, appId, key);
        return { appId, changes: [appEntry(rings, subject, appId, policy, headers, [key])], detail: { key: key.key } };
      }),

    takeBackApp: (subject, appId, policy, headers) =>
      change(subject, 'app.take-back', async (tx) => {
        const assignments = `state = 'Active', object_uid = $5, policy = $6, changed_at = $7, webhook_headers = $8`;
        const sealed = sealedHeaders(rings, appId, headers);
        await set(tx, subject, appId, assignments, [subject.uid, policy, new Date(now()), sealed]);
        return { appId, changes: await republish(tx, subject, appId, policy, headers) };
      }),

    updateApp: (subject, appId, policy, headers) =>
      change(subject, 'app.update', async (tx) => {
        const sealed = sealedHeaders(rings, appId, headers);
        await set(tx, subject, appId, 'policy = $5, changed_at = $6, webhook_headers = $7', [
          policy,
          new Date(now()),
          sealed,
        ]);
        const detail = { policy, webhooksWithHeaders: [...headers.keys()] };
        return { appId, changes: await republish(tx, subject, appId, policy, headers), detail };
      }),

    rebindApp: (subject, appId) =>
      change(subject, 'app.rebind', async (tx) => {
        await set(tx, subject, appId, 'object_uid = $5', [subject.uid]);
        return { appId, changes: [] };
      }),

    retireApp: (subject, appId, policy) =>
      change(subject, 'app.retire', async (tx) => {
        const state = policy === 'Retain' ? 'Retained' : 'Deleted';
        // The headers are still in the Secret that they came from.
        await set(tx, subject, appId, `state = $5, changed_at = $6, webhook_headers = '{}'`, [state, new Date(now())]);
        return { appId, changes: [{ key: appEntryKey(appId), body: null }], detail: { policy } };
      }),

    purgeApps: (before) =>
      asTransient(async () => {
        const { result } = await commit.commit(async (tx) => {
          const { rows } = await tx.query<{ app_id: string; hashes: string[] | null }>(
            `SELECT app_id, (SELECT array_agg(sha256) FROM token WHERE token.app_id = app.app_id AND token.state <> 'Revoked') AS hashes
               FROM app WHERE installation = $1 AND state = 'Deleted' AND changed_at < $2 FOR UPDATE`,
            [installation, new Date(before)],
          );
          const ids = rows.map((row) => row.app_id);
          await tx.query('DELETE FROM app WHERE app_id = ANY($1)', [ids]);
          const hashes = rows.flatMap((row) => row.hashes ?? []);
          return {
            result: ids,
            changes: hashes.map((sha256) => ({ key: tokenEntryKey(sha256), body: null })),
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

function notRegistered(subject: Subject, appId: string): Error {
  return new TransientError('NotRegistered', `app ${appId} is not registered for ${objectOf(subject)}`);
}

function objectOf(subject: Subject): string {
  return `RelayApp ${subject.namespace}/${subject.name}`;
}
