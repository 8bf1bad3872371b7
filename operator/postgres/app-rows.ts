import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { appEntryKey, appKeyField, webhookHeadersField, type EntryChange } from '#crds/directory/entry-body.ts';
import { Secret, type Keyring } from '#crds/keyring.ts';
import { seal, unseal } from '#crds/sealed.ts';
import type { AppKey, AppPolicy, AppRow, WebhookHeaders } from '../registry/app-registry.ts';
import type { ObjectRef } from '../world/object-ref.ts';

/** The two rings: ENCRYPTION_KEYS seal what is at rest here, DIRECTORY_KEYS what the relays must open. */
export type Rings = { readonly installation: string; readonly encryption: Keyring; readonly directory: Keyring };

type StoredRow = {
  app_id: string;
  object_uid: string;
  state: AppRow['state'];
  policy: AppPolicy;
  webhook_headers: Record<string, string>;
  revision: number;
  changed_at: Date;
  keys: { id: string; key: string; secret: string; created_at: string }[];
};

export const SELECT_APP = `
  SELECT app.app_id, object_uid, state, policy, webhook_headers, revision, changed_at,
         (SELECT coalesce(json_agg(json_build_object('id', id, 'key', key, 'secret', secret, 'created_at', created_at) ORDER BY created_at, id), '[]')
            FROM app_key WHERE app_key.app_id = app.app_id) AS keys
    FROM app`;

export function readAppRow(rings: Rings, row: StoredRow): AppRow {
  const owner = ownerOf(rings, row.app_id);
  return {
    appId: row.app_id,
    objectUid: row.object_uid,
    state: row.state,
    policy: row.policy,
    webhookHeaders: new Map(
      Object.entries(row.webhook_headers).map(([name, sealed]) => [
        name,
        new Secret(unseal(rings.encryption, owner, webhookHeadersField(name), sealed)),
      ]),
    ),
    keys: row.keys.map(({ id, key, secret, created_at }) => ({
      id,
      key,
      secret: new Secret(unseal(rings.encryption, owner, appKeyField(id), secret)),
      createdAt: new Date(created_at).toISOString().replace(/\.\d+Z$/, 'Z'),
    })),
    revision: row.revision,
    changedAt: row.changed_at.getTime(),
  };
}

export async function selectApp(
  db: pg.Pool | pg.PoolClient,
  rings: Rings,
  where: string,
  values: readonly unknown[],
): Promise<AppRow | undefined> {
  const { rows } = await db.query<StoredRow>(`${SELECT_APP} WHERE ${where} LIMIT 1`, [...values]);
  return rows[0] === undefined ? undefined : readAppRow(rings, rows[0]);
}

export async function insertKey(tx: pg.PoolClient, rings: Rings, appId: string, key: AppKey): Promise<void> {
  const sealed = seal(
    rings.encryption,
    ownerOf(rings, appId),
    appKeyField(key.id),
    key.secret.reveal(),
    randomBytes(12),
  );
  await tx.query('INSERT INTO app_key (app_id, id, key, secret, created_at) VALUES ($1, $2, $3, $4, $5)', [
    appId,
    key.id,
    key.key,
    sealed,
    key.createdAt,
  ]);
}

/** The column `webhook_headers`. */
export function sealedHeaders(rings: Rings, appId: string, headers: WebhookHeaders): Record<string, string> {
  const owner = ownerOf(rings, appId);
  return Object.fromEntries(
    [...headers].map(([name, header]) => [
      name,
      seal(rings.encryption, owner, webhookHeadersField(name), header.reveal(), randomBytes(12)),
    ]),
  );
}

/** The app's entry as the relays read it, its secrets sealed for them. */
export function appEntry(
  rings: Rings,
  ref: ObjectRef,
  appId: string,
  policy: AppPolicy,
  headers: WebhookHeaders,
  keys: readonly AppKey[],
): EntryChange {
  const sealed = (field: string, secret: Secret): string =>
    seal(rings.directory, [appId], field, secret.reveal(), randomBytes(12));
  const body: EntryChange['body'] = {
    appId,
    namespace: ref.namespace,
    name: ref.name,
    ...policy,
    keys: keys.map(({ id, key, secret }) => ({ id, key, secret: sealed(appKeyField(id), secret) })),
    webhooks: policy.webhooks.map((webhook) => {
      const header = headers.get(webhook.name);
      return { ...webhook, headers: header === undefined ? null : sealed(webhookHeadersField(webhook.name), header) };
    }),
  };
  return { key: appEntryKey(appId), body };
}

function ownerOf(rings: Rings, appId: string): readonly string[] {
  return [rings.installation, appId];
}
