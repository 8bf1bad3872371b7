import { unheld } from './holder-waits.ts';
import type { CertificateSnapshot } from './snapshot.ts';

/**
 * The fingerprint of an object that was revoked before anything was registered for it, and that no other object has: once one does, relays
 * accept it, and the status must say so (status.ts, `revokedPlan`). One that it had registered itself is kept from all others.
 */
export function revokedUnheld({ object, app, presented, rows, holder }: CertificateSnapshot): string | undefined {
  if (object.spec.revoked !== true || object.metadata.deletionTimestamp !== undefined || holder !== undefined)
    return undefined;
  if (app.kind !== 'registered' || presented === undefined || 'reason' in presented) return undefined;
  const { appId } = app;
  const { sha256 } = presented;
  const kept = rows.some((row) => row.appId === appId && row.sha256 === sha256 && row.state !== 'Ended');
  return kept ? undefined : unheld(appId, sha256);
}
