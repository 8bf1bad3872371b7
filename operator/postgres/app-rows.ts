import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { appEntryKey, appKeyField, webhookHeadersField, type EntryChange } from '#crds/directory/entry-body.ts';
import { Secret, type Keyring } from '#crds/keyring.ts';
import { seal, unseal } from '#crds/sealed.ts';
import { TransientError } from '../engine/errors.ts';
import type { AppKey, KeyRetirement } from '../registry/app-key-registry.ts';
import type { AppPolicy, AppRow, WebhookHeaders } from '../registry/app-registry.ts';
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
  rotated_at: Date | null;
  rotate_request: string | null;
  keys: StoredKey[];
};

type StoredKey = {
  id: string;
  key: string;
  secret: string;
  state: AppKey['state'];
  origin: AppKey['origin'];
  cause: AppKey['cause'];
  created_at: string;
  activated_at: string | null;
  retiring_at: string | null;
  overlap_until: string | null;
  expires_at: string | null;
  in_use_told: boolean;
};

const SELECT_APP = `
  SELECT app.app_id, object_uid, state, policy, webhook_headers, revision, changed_at, rotated_at, rotate_request,
         (SELECT coalesce(json_agg(app_key ORDER BY CASE state WHEN 'Retiring' THEN 0 WHEN 'Active' THEN 1 ELSE 2 END, activated_at, created_at, id), '[]')
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
    keys: row.keys.map((stored) => ({
      id: stored.id,
      key: stored.key,
      secret: new Secret(unseal(rings.encryption, owner, appKeyField(stored.id), stored.secret)),
      createdAt: new Date(stored.created_at).toISOString().replace(/\.\d+Z$/, 'Z'),
      state: stored.state,
      origin: stored.origin,
      cause: stored.cause,
      activatedAt: stored.activated_at === null ? null : Date.parse(stored.activated_at),
      retirement: retirementOf(stored),
    })),
    rotatedAt: row.rotated_at?.getTime() ?? null,
    rotateRequest: row.rotate_request,
    revision: row.revision,
    changedAt: row.changed_at.getTime(),
  };
}

function retirementOf({ retiring_at, overlap_until, expires_at, in_use_told }: StoredKey): KeyRetirement | null {
  if (retiring_at === null || overlap_until === null || expires_at === null) return null;
  return {
    since: Date.parse(retiring_at),
    overlapUntil: Date.parse(overlap_until),
    expiresAt: Date.parse(expires_at),
    inUseTold: in_use_told,
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

/** Throws a quiet TransientError when another app has the public key. */
export async function insertKey(tx: pg.PoolClient, rings: Rings, appId: string, key: NewKey): Promise<void> {
  const field = appKeyField(key.id);
  const sealed = seal(rings.encryption, ownerOf(rings, appId), field, key.secret.reveal(), randomBytes(12));
  await tx.query('INSERT INTO public_key (key, app_id) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING', [key.key, appId]);
  const { rowCount } = await tx.query(
    `INSERT INTO app_key (app_id, id, key, secret, state, origin, created_at, activated_at, cause)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM public_key WHERE key = $3 AND app_id = $1`,
    [appId, key.id, key.key, sealed, key.state, key.origin, key.at, key.state === 'Active' ? key.at : null, key.cause],
  );
  if (rowCount !== 1)
    throw new TransientError('RegistryConflict', 'the public key is another app’s meanwhile', { quiet: true });
}

/** What is stored of a key that is new. `at`: now. */
export type NewKey = Pick<AppKey, 'id' | 'key' | 'secret' | 'origin' | 'cause'> & {
  readonly state: 'Pending' | 'Active';
  readonly at: Date;
};

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

type PublishedKey = Pick<AppKey, 'id' | 'key' | 'secret' | 'state' | 'retirement'>;

/** The app's entry as the relays read it, its secrets sealed for them. */
export function appEntry(
  rings: Rings,
  ref: ObjectRef,
  appId: string,
  policy: AppPolicy,
  headers: WebhookHeaders,
  keys: readonly PublishedKey[],
): EntryChange {
  const sealed = (field: string, secret: Secret): string =>
    seal(rings.directory, [appId], field, secret.reveal(), randomBytes(12));
  const body: EntryChange['body'] = {
    appId,
    namespace: ref.namespace,
    name: ref.name,
    ...policy,
    keys: keys.map(({ id, key, secret, state, retirement }) => ({
      id,
      key,
      secret: sealed(appKeyField(id), secret),
      expiresAt: retirement?.expiresAt ?? null,
      pending: state === 'Pending',
    })),
    webhooks: policy.webhooks.map((webhook) => {
      const header = headers.get(webhook.name);
      return { ...webhook, headers: header === undefined ? null : sealed(webhookHeadersField(webhook.name), header) };
    }),
  };
  return { key: appEntryKey(appId), body };
}

/** Associated data of what is sealed for an app here (crds/sealed.ts). */
export function ownerOf(rings: Rings, appId: string): readonly string[] {
  return [rings.installation, appId];
}
