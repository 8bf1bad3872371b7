import { CONDITION, REASON, type Reason } from '#crds/conditions.ts';
import { defaultedCertificate, type ClientCertificateStatus } from '#crds/client-certificate.ts';
import { NOTHING_REGISTERED } from '../directory/enforcement.ts';
import {
  blocked,
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reportedRevision,
  reportEnforced,
  waiting,
  warning,
  type DesiredCondition,
} from '../reconcile/conditions.ts';
import { timestamp } from '../engine/conditions.ts';
import type { CertificateRow } from '../registry/certificate-registry.ts';
import { live, newest } from './rows.ts';
import type { CertificateSnapshot } from './snapshot.ts';
import type { CertificatePlan } from './step.ts';

type Outcome = CertificatePlan['outcome'];

/** Everything is as declared; whether the certificate still works is a question of the clock. */
export function settledPlan(snapshot: CertificateSnapshot, current: CertificateRow): CertificatePlan {
  const { now } = snapshot;
  const { notAfter, sha256 } = current;
  const name = `${sha256.slice(0, 16)}…`;
  if (notAfter !== null && notAfter <= now) {
    const message = `certificate ${name} expired at ${timestamp(notAfter)}: ${expiredRemedy(snapshot)}`;
    return published(snapshot, [
      notReady(REASON.Expired, message),
      credentialsReady('False', REASON.Expired, message),
      renewalWarning(snapshot),
    ]);
  }
  return published(snapshot, [
    ready(REASON.Reconciled, `certificate ${name} is registered`),
    credentialsReady('True', REASON.Issued, credentialsOf(snapshot)),
    renewalWarning(snapshot),
  ]);
}

export function revokedPlan(snapshot: CertificateSnapshot): CertificatePlan {
  const message = 'revoked by spec.revoked: no certificate of it is accepted';
  const conditions = [notReady(REASON.Revoked, message), credentialsReady('False', REASON.Revoked, message)];
  const { holder } = snapshot;
  if (holder === undefined || holder.state === 'Revoked') return published(snapshot, conditions);
  // Whoever revokes here means the certificate, and that it is refused would not be true.
  const accepted = `relays accept this certificate for ClientCertificate ${holder.name} of the same app: revoke it there`;
  const unenforced = { type: CONDITION.Enforced, status: 'False', reason: REASON.Conflict, message: accepted } as const;
  return published(snapshot, conditions, 30_000, unenforced);
}

/** Comes by itself, and tells when it does; or at a known time, in `ms`. */
export function waitingPlan(
  snapshot: CertificateSnapshot,
  reason: Reason,
  message: string,
  ms: number = Number.POSITIVE_INFINITY,
): CertificatePlan {
  return published(snapshot, waiting(reason, message), ms);
}

/** A person must change something. Looked at again now and then: what is in the way may be an object that nothing tells of. */
export function blockedPlan(snapshot: CertificateSnapshot, reason: Reason, message: string): CertificatePlan {
  return published(snapshot, blocked(reason, message), 30_000);
}

/** The status of any situation: what is registered stays in force, and the status goes on to say what the relays make of it. */
function published(
  snapshot: CertificateSnapshot,
  conditions: readonly (DesiredCondition | undefined)[],
  wakeIn: number = Number.POSITIVE_INFINITY,
  unenforced?: DesiredCondition,
): CertificatePlan {
  const { object, now, rows } = snapshot;
  const { generation, name } = object.metadata;
  const former = object.status?.conditions ?? [];
  const last = newest(rows, object);
  const latched = isLatched(former, object.status?.revision, last?.revision, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const { source, revoked } = defaultedCertificate(name, object.spec);
  const shown = fingerprintsOf(snapshot);
  const current = rows.find(({ state }) => state === 'Active');
  const appId = current?.appId ?? last?.appId;
  const status: ClientCertificateStatus = {
    observedGeneration: generation,
    ...(appId === undefined ? {} : { appId }),
    ...(shown.length === 0 ? {} : { fingerprints: shown }),
    ...(source.kind === 'issue' && !revoked ? { secretName: source.secretName } : {}),
    ...(current === undefined || current.notAfter === null ? {} : { expiresAt: timestamp(current.notAfter) }),
    ...reportedRevision(report, object.status, last),
    conditions: conditionsOf({ former, now, generation }, [...conditions, unenforced ?? report.condition]),
  };
  const ends = live(rows).flatMap(({ notAfter }) => (notAfter !== null && notAfter > now ? [notAfter - now] : []));
  const wakes = [wakeIn, ...ends, report.askAgainIn];
  return {
    steps: [],
    status,
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent ? { await: last?.revision ?? NOTHING_REGISTERED.revision } : {}),
    outcome: outcomeOf(Math.min(...wakes)),
  };
}

function outcomeOf(ms: number): Outcome {
  return Number.isFinite(ms) ? { kind: 'requeueAfter', ms } : { kind: 'done' };
}

/** Those that work, and those that this object killed: newest first, the current one before all. */
function fingerprintsOf({ rows }: CertificateSnapshot): NonNullable<ClientCertificateStatus['fingerprints']> {
  return (['Active', 'Retiring', 'Revoked'] as const)
    .flatMap((state) =>
      rows.filter((row) => row.state === state).map(({ sha256, notAfter }) => ({ sha256, state, notAfter })),
    )
    .slice(0, 64)
    .map(({ notAfter, ...rest }) => ({ ...rest, ...(notAfter === null ? {} : { notAfter: timestamp(notAfter) }) }));
}

/** Works, and somebody should look before it ends. */
function renewalWarning({ issuance }: CertificateSnapshot): DesiredCondition | undefined {
  const trouble = issuance.certificate?.trouble;
  if (trouble === undefined || trouble === null || !trouble.failed) return undefined;
  return warning([
    { reason: REASON.RenewalFailed, message: `cert-manager could not issue the next certificate: ${trouble.message}` },
  ]);
}

function credentialsOf({ object }: CertificateSnapshot): string {
  const { source } = defaultedCertificate(object.metadata.name, object.spec);
  return source.kind === 'issue'
    ? `Secret ${source.secretName} holds the certificate and its key`
    : 'the certificate is registered; its key is with whoever made it';
}

function expiredRemedy({ object }: CertificateSnapshot): string {
  switch (defaultedCertificate(object.metadata.name, object.spec).source.kind) {
    case 'issue':
      return 'cert-manager has not renewed it';
    case 'fingerprint':
      return 'set a later spec.fingerprint.notAfter, or name the next certificate';
    case 'pem':
    case 'secretRef':
      return 'put a current one into spec.certificate';
  }
}
