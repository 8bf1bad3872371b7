import { appEntryKey } from '#crds/directory/entry-body.ts';
import { APP_SECRET_TYPE } from '#crds/api-group.ts';
import { defaultedApp, type DefaultedApp, type RelayApp } from '#crds/relay-app.ts';
import { evaluateEnforced } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import { isLatched } from '../reconcile/conditions.ts';
import { secretState } from '../reconcile/secret-state.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { Registry } from '../registry/registry.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';
import type { Secrets } from '../world/secrets.ts';
import { withoutDatabase } from './country-databases.ts';
import type { AppSnapshot, Endpoints } from './snapshot.ts';

export type AppSources = {
  readonly apps: Objects<RelayApp>;
  readonly secrets: Secrets;
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly endpoints: Endpoints;
  /** Epoch ms. */
  readonly now: () => number;
};

/** Gathers everything that the plan of one app depends on; undefined when the object is gone. */
export async function observeApp(sources: AppSources, ref: ObjectRef): Promise<AppSnapshot | undefined> {
  const object = sources.apps.get(ref);
  if (object === undefined) return undefined;
  const { uid } = object.metadata;
  const spec = defaultedApp(ref.name, object.spec);
  const row = await sources.registry.findApp(ref, uid);
  const active = row?.state === 'Active';
  const deleting = object.metadata.deletionTimestamp !== undefined;
  const retired = active || deleting ? undefined : await sources.registry.findRetiredApp(ref, spec.appId);
  const secret = deleting ? undefined : await sources.secrets.read({ namespace: ref.namespace, name: spec.secretName });
  const references = deleting ? new Map() : await referencesOf(sources, ref.namespace, spec);
  const now = sources.now();
  return {
    now,
    object,
    row,
    retired,
    secret: secretState(secret, uid, APP_SECRET_TYPE),
    references,
    strays: sources.secrets.ownedBy(uid).filter((owned) => deleting || owned.name !== spec.secretName),
    endpoints: sources.endpoints,
    enforced: row === undefined ? undefined : enforcedOf(sources, object, row, now),
    withoutDatabase: withoutDatabase(sources.enforcement.view()),
  };
}

async function referencesOf(
  { secrets }: AppSources,
  namespace: string,
  { webhooks }: DefaultedApp,
): Promise<AppSnapshot['references']> {
  const names = new Set(webhooks.map(({ headersFrom }) => headersFrom).filter((name) => name !== undefined));
  const found = [...names].map(async (name) => [name, await secrets.readReferenced({ namespace, name })] as const);
  return new Map(await Promise.all(found));
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
