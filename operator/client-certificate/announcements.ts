import { defaultedCertificate } from '#crds/client-certificate.ts';
import { announcement, type Announcement, type Announcements } from '../notifications/announcement.ts';
import { noticeAt } from '../notifications/notice.ts';
import { occasionKey, type Happening } from '../notifications/occasion.ts';
import type { CertificateRow } from '../registry/certificate-registry.ts';
import { MOST_QUIET_MS, wasInUse } from '../rotation/retirement.ts';
import { live } from './rows.ts';
import type { CertificateSnapshot } from './snapshot.ts';

/** What people are told of a client certificate, and when (docs/notifications.md). Pure. */

/** `due` is to be announced now, if it was not before; `wakes` says when to look again, epoch ms. */
export type Notices = { readonly due: Announcements; readonly wakes: readonly number[] };

type Situation = Pick<CertificateSnapshot, 'object' | 'now' | 'app' | 'rows' | 'presented' | 'issuance' | 'notify'>;
type Uses = Pick<CertificateSnapshot, 'uses'>;

/** That an expiry hit somebody is told for that long after it: an operator that comes later still tells nothing that everybody knows. */
const NEWS_MS = 7 * 86_400_000;

/** Of the current certificate: what comes by the clock alone, however the object is otherwise. */
export function noticesOf(snapshot: Situation & Uses): Notices {
  const { rows, app, now } = snapshot;
  const active = rows.find(({ state }) => state === 'Active');
  if (active === undefined || app.kind !== 'registered' || active.appId !== app.appId || active.notAfter === null)
    return { due: [], wakes: [] };
  const at = active.notAfter;
  if (at <= now) return { due: expiredInUse(snapshot, active), wakes: [] };
  const from = expiryNoticeAt(snapshot, active, at);
  return from <= now
    ? { due: [of(snapshot, active, { what: 'ExpiryUpcoming', at })], wakes: [] }
    : { due: [], wakes: [from] };
}

/** The first of them that nobody was told of. */
export function untold({ due }: Notices, announced: readonly string[]): Announcement | undefined {
  return due.find(({ occasion }) => !announced.includes(occasionKey(occasion)));
}

/**
 * Nobody renews a certificate that was made elsewhere: people get the usual notice. cert-manager renews what it issued, every time, and that
 * is no news: people are told once it is late, which is when half of its time for it is gone, or cannot do it when it should.
 */
function expiryNoticeAt({ object, presented, issuance }: Situation, row: CertificateRow, notAfter: number): number {
  const { source } = defaultedCertificate(object.metadata.name, object.spec);
  const seen = presented !== undefined && !('reason' in presented) && presented.sha256 === row.sha256;
  // Of a fingerprint nobody knows when its certificate began.
  const lifeMs = notAfter - (seen ? (presented.notBefore ?? row.changedAt) : row.changedAt);
  const usual = noticeAt(notAfter, lifeMs);
  if (source.kind !== 'issue') return usual;
  // As cert-manager does where the issuer gave a shorter life than it was asked for.
  const renewBefore = source.renewBeforeMs < lifeMs ? source.renewBeforeMs : Math.floor(lifeMs / 3);
  const { certManager, allowed, certificate, secret } = issuance;
  const foreign =
    secret.kind === 'foreign' || (certificate !== undefined && certificate.ownerUid !== object.metadata.uid);
  const stuck = certManager.kind === 'missing' || !allowed || foreign || certificate?.trouble?.failed === true;
  return stuck ? Math.min(usual, notAfter - renewBefore) : Math.max(usual, notAfter - Math.floor(renewBefore / 2));
}

/** cert-manager's next certificate takes the place of these now, and they work until they end by themselves. */
export function renewed(snapshot: Situation, rows: readonly CertificateRow[]): Announcements {
  const { now: at } = snapshot;
  return rows.flatMap((row) => {
    const { state, notAfter } = row;
    if (state !== 'Active' || notAfter === null || notAfter <= at) return [];
    return [of(snapshot, row, { what: 'Rotated', cause: 'Renewed', at, worksUntil: notAfter, goneBy: notAfter })];
  });
}

/** They go with what is done now. Nothing of those that nobody used lately; and of those that were over already that they are. */
export function died(
  snapshot: Situation & Uses,
  rows: readonly CertificateRow[],
  why: 'Revoked' | 'Deleted' | 'Replaced' | 'AppDeleted',
): Announcements {
  const { now: at } = snapshot;
  return live(rows).flatMap((row) =>
    row.notAfter !== null && row.notAfter <= at ? expiredInUse(snapshot, row) : diedAt(snapshot, row, { why, at }),
  );
}

/** The certificates of which it matters who uses them: they are over, or go with what is done next. */
export function going({ object, now, app, rows, presented }: Situation): readonly CertificateRow[] {
  const { source, revoked } = defaultedCertificate(object.metadata.name, object.spec);
  const all = revoked || object.metadata.deletionTimestamp !== undefined;
  const only = source.kind !== 'issue' && presented !== undefined && !('reason' in presented) ? presented : undefined;
  return live(rows).filter(
    ({ appId, sha256, notAfter }) =>
      all ||
      (app.kind === 'registered' && app.appId !== appId) ||
      (only !== undefined && only.sha256 !== sha256) ||
      (notAfter !== null && notAfter <= now && now < notAfter + NEWS_MS),
  );
}

function expiredInUse(snapshot: Situation & Uses, row: CertificateRow): Announcements {
  const { notAfter: at, state, changedAt } = row;
  if (at === null || snapshot.now >= at + NEWS_MS) return [];
  if (state === 'Active' || changedAt >= at) return diedAt(snapshot, row, { why: 'Expired', at });
  // Replaced at `changedAt`: who takes the new one soon after has not been using the old one, however short the overlap is.
  const quiet = Math.min(Math.floor((at - changedAt) / 2), MOST_QUIET_MS);
  return diedAt(snapshot, row, { why: 'Deadline', at, quiet });
}

type Death = Pick<Extract<Happening, { what: 'DiedInUse' }>, 'why' | 'at'> & { readonly quiet?: number };

function diedAt(snapshot: Situation & Uses, row: CertificateRow, { why, at, quiet }: Death): Announcements {
  const use = snapshot.uses[row.sha256];
  return wasInUse(use, at, quiet) ? [of(snapshot, row, { what: 'DiedInUse', why, at, use })] : [];
}

function of({ object, notify: to }: Situation, row: CertificateRow, happening: Happening): Announcement {
  const { namespace, name } = object.metadata;
  const { source } = defaultedCertificate(name, object.spec);
  const secretName = source.kind === 'issue' ? source.secretName : null;
  const { appId, sha256: credentialId } = row;
  return announcement({ kind: 'ClientCertificate', namespace, name, appId, credentialId, secretName, to }, happening);
}
