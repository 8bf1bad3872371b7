import type pg from 'pg';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { TransientError } from '../engine/errors.ts';
import type { Channels } from '../notifications/announcement.ts';
import type { Subject } from '../registry/subject.ts';
import { appEntry, selectApp, type Rings } from './app-rows.ts';
import { asTransient } from './backend-error.ts';
import type { DirectoryCommit } from './directory-commit.ts';

export type RegistryOptions = {
  readonly pool: pg.Pool;
  readonly commit: DirectoryCommit;
  readonly rings: Rings;
  readonly now: () => number;
  /** By which ways people can be told. Default: by none. */
  readonly channels?: Channels;
};

/** Rows of one identity; its values are the first three parameters of a statement. */
export const IDENTITY = 'installation = $1 AND namespace = $2 AND name = $3';

export type AppWork = (tx: pg.PoolClient) => Promise<{
  readonly appId: string;
  readonly changes: readonly EntryChange[];
  readonly detail?: Record<string, unknown>;
}>;

/** One change of one app: rows, entry and audit in one transaction, the app's row stamped with the revision if there is one. */
export async function changeApp(
  { commit }: Pick<RegistryOptions, 'commit'>,
  subject: Subject,
  action: string,
  work: AppWork,
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

/**
 * Sets columns of the app's row; `values` are the parameters from $5 on. Only a row of this identity, whatever the caller passes: no object
 * can change another one's app.
 */
export async function setApp(
  { rings }: Pick<RegistryOptions, 'rings'>,
  tx: pg.PoolClient,
  { namespace, name, uid }: Subject,
  appId: string,
  assignments: string,
  values: readonly unknown[],
): Promise<void> {
  const { rowCount } = await tx.query(`UPDATE app SET ${assignments} WHERE ${IDENTITY} AND app_id = $4`, [
    rings.installation,
    namespace,
    name,
    appId,
    ...values,
  ]);
  if (rowCount !== 1) throw notRegistered({ namespace, name, uid }, appId);
}

/** The app's entry as its rows say now, in this transaction. */
export async function republished(
  { rings }: Pick<RegistryOptions, 'rings'>,
  tx: pg.PoolClient,
  subject: Subject,
  appId: string,
): Promise<readonly EntryChange[]> {
  const { namespace, name } = subject;
  const row = await selectApp(tx, rings, `app_id = $4 AND ${IDENTITY}`, [rings.installation, namespace, name, appId]);
  if (row === undefined) throw notRegistered(subject, appId);
  return [appEntry(rings, subject, appId, row.policy, row.webhookHeaders, row.keys)];
}

function notRegistered(subject: Subject, appId: string): Error {
  return new TransientError('NotRegistered', `app ${appId} is not registered for ${objectOf(subject)}`);
}

function objectOf({ namespace, name }: Subject): string {
  return `RelayApp ${namespace}/${name}`;
}
