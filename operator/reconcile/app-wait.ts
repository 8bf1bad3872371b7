import { REASON } from '#crds/conditions.ts';
import type { AppReference } from './app-reference.ts';

/** How long a new object waits for its app before it says so. */
const PATIENCE_MS = 2_000;

export type AppWait =
  | { readonly kind: 'over'; readonly appId: string }
  /** Applied together with its app, it waits a moment without a word: the app's registration reconciles it, and saves a write. */
  | { readonly kind: 'patient'; readonly ms: number }
  /** Comes by itself, and its arrival reconciles the object. */
  | { readonly kind: 'told'; readonly reason: 'AppNotFound' | 'AppNotReady'; readonly message: string };

/** What an object makes of the app that it names. @param now epoch ms */
export function waitForApp(
  app: AppReference,
  appName: string,
  { namespace, creationTimestamp }: { readonly namespace: string; readonly creationTimestamp?: string | undefined },
  now: number,
): AppWait {
  if (app.kind === 'registered') return { kind: 'over', appId: app.appId };
  const ms = PATIENCE_MS - Math.max(0, now - Date.parse(creationTimestamp ?? ''));
  if (ms > 0) return { kind: 'patient', ms };
  return app.kind === 'absent'
    ? { kind: 'told', reason: REASON.AppNotFound, message: `no RelayApp ${appName} in namespace ${namespace}` }
    : { kind: 'told', reason: REASON.AppNotReady, message: `RelayApp ${appName} is not registered yet` };
}
