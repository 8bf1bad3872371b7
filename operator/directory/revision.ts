import { criticalFields } from '#crds/directory/critical.ts';
import { changeDigest } from '#crds/directory/digest.ts';
import { signCheckpoint } from '#crds/directory/checkpoint.ts';
import type { Checkpoint, LogEntry } from '#crds/directory/checkpoint.ts';
import { EMPTY_DIGEST } from '#crds/directory/digest.ts';
import type { EntryVersion } from '#crds/directory/digest.ts';
import { appEntryBody, appKeyField, ENTRY_VERSION, webhookHeadersField } from '#crds/directory/entry-body.ts';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { signEntry, trustEntry } from '#crds/directory/entry.ts';
import type { Keyring } from '#crds/keyring.ts';
import { seal, unseal, UnsealError } from '#crds/sealed.ts';
import type { DirectoryRow, EntryRow, OutboxRow } from './registry-log.ts';

/** Of several changes of one key in a transaction, the last one counts. */
export function lastChanges(changes: readonly EntryChange[]): EntryChange[] {
  return [...new Map(changes.map((change) => [change.key, change])).values()];
}

/**
 * The next revision of `row`, made of `changes` (each key once).
 * @param held the versions that PostgreSQL holds of the changed keys.
 * Throws a RangeError when the ring lacks the key that signs the directory.
 */
export function nextRevision(
  keyring: Keyring,
  row: Omit<DirectoryRow, 'term'>,
  held: readonly EntryVersion[],
  changes: readonly EntryChange[],
): { readonly outbox: OutboxRow; readonly upserts: readonly EntryRow[]; readonly removals: readonly string[] } {
  const revision = row.revision + 1;
  const upserts: EntryRow[] = [];
  const removals: string[] = [];
  const texts: string[] = [];
  for (const change of changes) {
    const { key, body } = change;
    const crit = criticalFields(change);
    const text = signEntry(keyring, row.keyId, { key, revision, v: ENTRY_VERSION, crit, body });
    texts.push(text);
    if (body === null) removals.push(key);
    else upserts.push({ key, text });
  }
  const digest = changeDigest(
    keyring,
    row.keyId,
    row.digest,
    held,
    upserts.map(({ key }) => ({ key, revision })),
  );
  const count = row.count - held.length + upserts.length;
  const state = signCheckpoint(keyring, { epoch: row.epoch, revision, count, digest, keyId: row.keyId });
  const entry: LogEntry = { ...state, previous: row.revision, changes: texts };
  return { outbox: { entry, text: JSON.stringify(entry) }, upserts, removals };
}

/**
 * Signs every entry with another key, for a rotation of DIRECTORY_KEYS; the revisions stay. The sealed secrets and webhook headers of
 * apps are sealed anew as well; one whose key is gone from the ring stays as it is, and relays then name the app as rejected until it is published again.
 * @param random draws that many fresh bytes.
 */
export function signAnew(
  keyring: Keyring,
  keyId: string,
  entries: readonly EntryRow[],
  random: (bytes: number) => Buffer,
): { readonly entries: EntryRow[]; readonly digest: string } {
  const versions: EntryVersion[] = [];
  const signed: EntryRow[] = [];
  for (const { key, text } of entries) {
    const payload = trustEntry(text);
    if (payload === undefined) throw new Error(`the entry ${key} cannot be read`);
    versions.push({ key, revision: payload.revision });
    signed.push({
      key,
      text: signEntry(keyring, keyId, { ...payload, body: sealAnew(keyring, payload.body, random) }),
    });
  }
  return { entries: signed, digest: changeDigest(keyring, keyId, EMPTY_DIGEST, [], versions) };
}

function sealAnew(
  keyring: Keyring,
  body: Record<string, unknown> | null,
  random: (bytes: number) => Buffer,
): Record<string, unknown> | null {
  const app = appEntryBody.safeParse(body).data;
  if (app === undefined) return body;
  const again = (field: string, sealed: string): string => {
    try {
      return seal(keyring, [app.appId], field, unseal(keyring, [app.appId], field, sealed), random(12));
    } catch (error) {
      if (error instanceof UnsealError) return sealed;
      throw error;
    }
  };
  return {
    ...body,
    keys: app.keys.map((key) => ({ ...key, secret: again(appKeyField(key.id), key.secret) })),
    webhooks: app.webhooks.map((webhook) => ({
      ...webhook,
      headers: webhook.headers === null ? null : again(webhookHeadersField(webhook.name), webhook.headers),
    })),
  };
}

/** The checkpoint that a directory row stands for. */
export function checkpointOf(keyring: Keyring, row: DirectoryRow): Checkpoint {
  return signCheckpoint(keyring, row);
}
