import { defaultedApp, type RelayApp } from '#crds/relay-app.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';

/** The app that an object names in `appRef`. */
export type AppReference =
  | { readonly kind: 'absent' }
  /** Its object is there, its registration not yet. */
  | { readonly kind: 'unregistered' }
  | { readonly kind: 'registered'; readonly appId: string };

export type AppSources = {
  readonly apps: Pick<Objects<RelayApp>, 'get'>;
  readonly registry: { findApp(ref: ObjectRef, uid: string): Promise<Pick<AppRow, 'state' | 'appId'> | undefined> };
};

export async function lookUpApp({ apps, registry }: AppSources, ref: ObjectRef): Promise<AppReference> {
  const app = apps.get(ref);
  if (app === undefined || app.metadata.deletionTimestamp !== undefined) return { kind: 'absent' };
  const row = await registry.findApp(ref, app.metadata.uid);
  return row?.state === 'Active' ? { kind: 'registered', appId: row.appId } : { kind: 'unregistered' };
}

/**
 * Whom the app has told of its credentials: mail addresses, `spec.rotation.notify`. Also while the app or the object is being deleted: who is
 * told of the app is told of that.
 */
export function notifyOf({ apps }: Pick<AppSources, 'apps'>, ref: ObjectRef): readonly string[] {
  const app = apps.get(ref);
  return app === undefined ? [] : defaultedApp(ref.name, app.spec).rotation.notify;
}
