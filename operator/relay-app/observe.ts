import { appEntryKey } from '#crds/directory/entry-body.ts';
import { APP_SECRET_TYPE } from '#crds/api-group.ts';
import {
  defaultedApp,
  referencedSecrets,
  type DefaultedApp,
  type RelayApp,
  type RelayAppSpec,
} from '#crds/relay-app.ts';
import { evaluateEnforced } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import { isLatched } from '../reconcile/conditions.ts';
import { secretState } from '../reconcile/secret-state.ts';
import { occasionKey } from '../notifications/occasion.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { CredentialUses } from '../registry/credential-use.ts';
import type { Registry } from '../registry/registry.ts';
import { stagedName } from '../rotation/staging.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';
import type { Secrets } from '../world/secrets.ts';
import { noticesOf } from './announcements.ts';
import { withoutDatabase } from './country-databases.ts';
import { differs, importOf, type Import } from './import.ts';
import { pendingKey, retiringKeys } from './keys.ts';
import type { AppSnapshot, Endpoints } from './snapshot.ts';

export type AppSources = {
  readonly apps: Objects<RelayApp>;
  readonly secrets: Secrets;
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly uses: CredentialUses;
  readonly endpoints: Endpoints;
  /** This operator can send mail. */
  readonly mail: boolean;
  /** Epoch ms. */
  readonly now: () => number;
};

/** Gathers everything that the plan of one app depends on; undefined when the object is gone. */
export async function observeApp(sources: AppSources, ref: ObjectRef): Promise<AppSnapshot | undefined> {
  const object = sources.apps.get(ref);
  if (object === undefined) return undefined;
  const { uid } = object.metadata;
  const spec = defaultedApp(ref.name, object.spec);
  const deleting = object.metadata.deletionTimestamp !== undefined;
  const read = (name: string) =>
    deleting ? Promise.resolve(undefined) : sources.secrets.read({ namespace: ref.namespace, name });
  // Before what is registered: of a Secret that lags, what is done to it is made sure of once more; of a row that lags nobody would notice.
  const secret = await read(spec.secretName);
  const owned = sources.secrets.ownedBy(uid);
  const row = await sources.registry.findApp(ref, uid);
  const active = row?.state === 'Active';
  const references = deleting ? new Map() : await referencesOf(sources, ref, object.spec);
  const imported = importOf({ object, references });
  const retired = active || deleting ? undefined : await sources.registry.findRetiredApp(ref, appIdOf(spec, imported));
  // Looked for only while a key waits in it: at rest this would be a request for each look.
  const staged =
    row !== undefined && pendingKey(row) !== undefined ? await read(stagedName(spec.secretName)) : undefined;
  const clash = deleting ? undefined : await clashOf(sources, ref, row, imported);
  const now = sources.now();
  return {
    now,
    object,
    row,
    retired,
    secret: secretState(secret, uid, APP_SECRET_TYPE),
    staged: secretState(staged, uid, APP_SECRET_TYPE),
    clash,
    ...(await usesOf(sources, row, now, deleting)),
    announced: deleting ? new Set() : await announcedOf(sources, object, spec, row, now),
    mail: sources.mail,
    references,
    strays: owned.filter(({ name }) => deleting || name !== spec.secretName),
    endpoints: sources.endpoints,
    enforced: row === undefined ? undefined : enforcedOf(sources, object, row, now),
    withoutDatabase: withoutDatabase(sources.enforcement.view()),
  };
}

async function referencesOf(
  { secrets }: AppSources,
  { namespace, name: app }: ObjectRef,
  spec: RelayAppSpec,
): Promise<AppSnapshot['references']> {
  const found = referencedSecrets(app, spec).map(
    async (name) => [name, await secrets.readReferenced({ namespace, name })] as const,
  );
  return new Map(await Promise.all(found));
}

function appIdOf({ appId }: DefaultedApp, imported: Import): string | undefined {
  return appId ?? (imported.kind === 'usable' ? imported.credentials.appId : undefined);
}

async function clashOf(
  { registry }: AppSources,
  ref: ObjectRef,
  row: AppRow | undefined,
  imported: Import,
): Promise<AppSnapshot['clash']> {
  if (imported.kind !== 'usable') return undefined;
  const { credentials } = imported;
  const own = row?.state === 'Active' ? row : undefined;
  if (own !== undefined && !differs(credentials, own)) return undefined;
  return registry.findClash({ ...ref, appId: own?.appId ?? credentials.appId }, credentials.key);
}

async function usesOf(
  { uses }: AppSources,
  row: AppRow | undefined,
  now: number,
  deleting: boolean,
): Promise<Pick<AppSnapshot, 'uses' | 'usesKnownUntil'>> {
  const asked =
    row?.state === 'Active' && (deleting || retiringKeys(row).some(({ retirement }) => retirement.overlapUntil <= now));
  if (!asked) return { uses: new Map(), usesKnownUntil: null };
  return { uses: await uses.of(row.appId), usesKnownUntil: uses.knownUntil() };
}

async function announcedOf(
  { registry }: AppSources,
  object: RelayApp,
  spec: DefaultedApp,
  row: AppRow | undefined,
  now: number,
): Promise<AppSnapshot['announced']> {
  if (row?.state !== 'Active') return new Set();
  const { due } = noticesOf({ object, now }, spec, row);
  return registry.announced(due.map(({ occasion }) => occasionKey(occasion)));
}

function enforcedOf(sources: AppSources, object: RelayApp, row: AppRow, now: number): AppSnapshot['enforced'] {
  return evaluateEnforced({
    view: sources.enforcement.view(),
    revision: row.revision,
    entryKeys: [appEntryKey(row.appId)],
    since: now - row.changedAt,
    latched: isLatched(object.status?.conditions, object.status?.revision, row.revision, object.metadata.generation),
  });
}
