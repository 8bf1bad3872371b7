import { FINALIZER } from '#crds/api-group.ts';
import { REASON } from '#crds/conditions.ts';
import { defaultedCertificate } from '#crds/client-certificate.ts';
import { hasFinalizer } from '../engine/finalizers.ts';
import type { Announcements } from '../notifications/announcement.ts';
import { waitForApp } from '../reconcile/app-wait.ts';
import { planRelease } from '../reconcile/removal.ts';
import type { CertificateRow } from '../registry/certificate-registry.ts';
import { died, noticesOf, untold } from './announcements.ts';
import { issuedLeftover, planIssue } from './issue-plan.ts';
import type { Presented } from './presented.ts';
import { live, newest } from './rows.ts';
import type { CertificateSnapshot } from './snapshot.ts';
import { blockedPlan, revokedPlan, settledPlan, waitingPlan } from './status.ts';
import type { CertificatePlan, CertificateStep } from './step.ts';

const DONE = { kind: 'done' } as const;

/** Decides the next steps for one client certificate. Pure: golden pairs in `testdata/` are its test. */
export function planCertificate(snapshot: CertificateSnapshot): CertificatePlan {
  const plan = planUntold(snapshot);
  // Whatever else is said of the object: what is registered works, and ends when it ends.
  return plan.status === undefined ? plan : told(snapshot, plan);
}

/** What comes by the clock is told before anything is written that says that nothing is left to do. */
function told(snapshot: CertificateSnapshot, plan: CertificatePlan): CertificatePlan {
  const notices = noticesOf(snapshot);
  const announcement = untold(notices, snapshot.announced);
  if (announcement !== undefined) return step({ do: 'Announce', announcement });
  const known = plan.outcome.kind === 'requeueAfter' ? [plan.outcome.ms] : [];
  const wakes = [...known, ...notices.wakes.map((at) => at - snapshot.now)];
  return wakes.length === 0 ? plan : { ...plan, outcome: { kind: 'requeueAfter', ms: Math.min(...wakes) } };
}

function planUntold(snapshot: CertificateSnapshot): CertificatePlan {
  const { object, app, rows } = snapshot;
  const held = hasFinalizer(object, FINALIZER);
  if (object.metadata.deletionTimestamp !== undefined)
    return held ? planRemoval(snapshot) : { steps: [], outcome: DONE };
  if (!held) return step({ do: 'AddFinalizer' });

  const { source, revoked, appName } = defaultedCertificate(object.metadata.name, object.spec);
  // Before everything else: killing a certificate depends on nothing.
  if (revoked) return planRevoked(snapshot);
  const wait = waitForApp(app, appName, object.metadata, snapshot.now);
  if (wait.kind === 'patient') return { steps: [], outcome: { kind: 'requeueAfter', ms: wait.ms } };
  if (wait.kind === 'told') return waitingPlan(snapshot, wait.reason, wait.message);
  const { appId } = wait;
  // Of an app that was deleted and registered anew, and replaced ones whose time is over.
  const over = live(rows).filter((row) => row.appId !== appId || isOver(row, snapshot.now));
  if (over.length > 0) return end(over, 'Ended', 'over', died(snapshot, over, 'AppDeleted'));
  if (source.kind === 'issue') return planIssue(snapshot, source, appId);

  const leftover = issuedLeftover(snapshot);
  if (leftover !== undefined) return step(leftover);
  const { presented } = snapshot;
  if (presented === undefined) throw new Error('a certificate that is not issued is always presented');
  // What is registered stays in force: a mistake in an edit is no kill switch.
  if ('reason' in presented) return blockedPlan(snapshot, presented.reason, presented.message);
  return planPresented(snapshot, presented, appId);
}

/** `spec.certificate` and `spec.fingerprint`: exactly what is presented is registered, and an edit replaces at once. */
function planPresented(snapshot: CertificateSnapshot, presented: Presented, appId: string): CertificatePlan {
  const { rows, now, holder } = snapshot;
  const { sha256, notBefore, notAfter } = presented;
  const current = live(rows).find((row) => row.sha256 === sha256);
  const others = live(rows).filter((row) => row !== current);
  if (current?.state === 'Active' && current.notAfter === notAfter)
    return others.length > 0
      ? end(others, 'Ended', 'replaced', died(snapshot, others, 'Replaced'))
      : settledPlan(snapshot, current);
  if (current === undefined) {
    if (notBefore !== null && notBefore > now) {
      const message = `the certificate is not valid before ${timeOf(notBefore)}: it is registered then`;
      return waitingPlan(snapshot, REASON.NotYetValid, message, notBefore - now);
    }
    if (notAfter !== null && notAfter <= now)
      return blockedPlan(snapshot, REASON.Expired, `the certificate expired at ${timeOf(notAfter)}: put a current one`);
    if (holder !== undefined)
      return blockedPlan(
        snapshot,
        REASON.Conflict,
        `ClientCertificate ${holder.name} has this certificate for the same app: delete one of the two`,
      );
  }
  const announce = died(snapshot, others, 'Replaced');
  const told = announce.length === 0 ? {} : { announce };
  const register = { appId, sha256, notAfter, retire: [], end: others.map((row) => row.sha256), ...told };
  return step({ do: 'RegisterCertificate', register });
}

function planRevoked(snapshot: CertificateSnapshot): CertificatePlan {
  const working = live(snapshot.rows);
  if (working.length > 0) return end(working, 'Revoked', 'spec.revoked', died(snapshot, working, 'Revoked'));
  // Its private key is of no use any more; `revoked: false` has another certificate issued.
  const leftover = issuedLeftover(snapshot);
  return leftover === undefined ? revokedPlan(snapshot) : step(leftover);
}

function planRemoval(snapshot: CertificateSnapshot): CertificatePlan {
  const { rows, object, now, enforced } = snapshot;
  const { uid } = object.metadata;
  const ending = rows.filter(({ state }) => state !== 'Ended');
  if (ending.length > 0) {
    const deleted = end(ending, 'Ended', 'deleted', died(snapshot, ending, 'Deleted'));
    if (ending.every((row) => row.objectUid === uid)) return deleted;
    // Another object's: of an earlier one (a rebuilt cluster), or of the successor while a cache that lags shows this one. Writing the
    // finalizer that it already holds is refused then, and costs the successor nothing.
    return { ...deleted, steps: [{ do: 'AddFinalizer' }, ...deleted.steps] };
  }
  // After the fingerprint: nothing that is still accepted may lose its Certificate.
  const leftover = issuedLeftover(snapshot);
  if (leftover !== undefined) return step(leftover);
  const last = newest(rows, object);
  if (last === undefined) return step({ do: 'RemoveFinalizer' });
  return planRelease({ enforced, revision: last.revision, changedAt: last.changedAt }, now);
}

function isOver({ state, notAfter }: CertificateRow, now: number): boolean {
  return state === 'Retiring' && notAfter !== null && notAfter <= now;
}

function end(
  rows: readonly CertificateRow[],
  state: 'Revoked' | 'Ended',
  reason: string,
  announce: Announcements,
): CertificatePlan {
  const named = rows.map(({ appId, sha256 }) => ({ appId, sha256 }));
  const told = announce.length === 0 ? {} : { announce };
  return step({ do: 'EndCertificates', rows: named, state, reason, ...told });
}

function step(only: CertificateStep): CertificatePlan {
  return { steps: [only], outcome: DONE };
}

/** RFC 3339 in whole seconds. */
function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
