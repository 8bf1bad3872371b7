import type { DefaultedToken } from '#crds/relay-token.ts';
import { announcement, type Announcement, type Announcements } from '../notifications/announcement.ts';
import { isNoticeDue, noticeAt } from '../notifications/notice.ts';
import type { Happening } from '../notifications/occasion.ts';
import type { RetireToken, TokenRow } from '../registry/token-registry.ts';
import { MOST_QUIET_MS, wasInUse } from '../rotation/retirement.ts';
import { dueOf } from './rotation.ts';
import type { TokenSnapshot } from './snapshot.ts';

/** What people are told of a token, and when (docs/notifications.md). Pure. */

/** `due` is to be announced now, if it was not before; `wakes` says when to look again, epoch ms. */
export type Notices = { readonly due: Announcements; readonly wakes: readonly number[] };

/** That an expiry hit somebody is told for that long after it: an operator that comes later still tells nothing that everybody knows. */
const NEWS_MS = 7 * 86_400_000;

type Situation = Pick<TokenSnapshot, 'object' | 'now' | 'notify' | 'uses'>;

/** Of the token in the Secret: what comes by the clock alone. */
export function noticesOf(snapshot: Situation, spec: DefaultedToken, active: TokenRow): Notices {
  const { now, uses } = snapshot;
  const end = spec.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(spec.expiresAt);
  if (end <= now) {
    const use = uses[active.id];
    if (now >= end + NEWS_MS || !wasInUse(use, end)) return { due: [], wakes: [] };
    return { due: [of(snapshot, spec, active, { what: 'DiedInUse', why: 'Expired', at: end, use })], wakes: [] };
  }
  const rotation = dueOf(active, spec.rotation, now);
  const { interval, overlap: overlapMs } = spec.rotation;
  const notices = [
    { at: end, lifeMs: end - active.createdAt, happening: { what: 'ExpiryUpcoming', at: end } as const },
    // One that is due after the end never comes.
    ...(rotation < end
      ? [{ at: rotation, lifeMs: interval, happening: { what: 'RotationUpcoming', at: rotation, overlapMs } as const }]
      : []),
  ];
  return {
    due: notices.flatMap(({ at, lifeMs, happening }) =>
      isNoticeDue(at, lifeMs, now) ? [of(snapshot, spec, active, happening)] : [],
    ),
    wakes: notices.map(({ at, lifeMs }) => noticeAt(at, lifeMs)).filter((at) => at > now && Number.isFinite(at)),
  };
}

/** Another one takes its place now. */
export function replacedNow(
  snapshot: Situation,
  spec: DefaultedToken,
  active: TokenRow,
  { expiresAt }: RetireToken,
  cause: 'Interval' | 'Annotation' | 'SecretLost',
): Announcement {
  const { now: at } = snapshot;
  const goneBy = lastEnd(spec, at);
  return of(snapshot, spec, active, { what: 'Rotated', cause, at, worksUntil: expiresAt ?? goneBy, goneBy });
}

/** It outlives its overlap, because somebody uses it. Nothing, as long as nobody is known to. */
export function oldTokenInUse(snapshot: Situation, spec: DefaultedToken, row: TokenRow): Announcements {
  const use = snapshot.uses[row.id];
  if (use === undefined) return [];
  const since = row.retiringAt ?? row.changedAt;
  const at = since + spec.rotation.overlap;
  return [of(snapshot, spec, row, { what: 'OldCredentialInUse', at, goneBy: lastEnd(spec, since), use })];
}

/** Its time was over at `at`. Nothing, if nobody used it lately. */
export function endedInUse(snapshot: Situation, spec: DefaultedToken, row: TokenRow, at: number): Announcements {
  const why = spec.expiresAt !== undefined && at >= Date.parse(spec.expiresAt) ? 'Expired' : 'Deadline';
  return died(snapshot, spec, [row], why, at, Math.min(spec.rotation.overlap, MOST_QUIET_MS));
}

/** They go with what is done now. Nothing of those that nobody used lately. */
export function died(
  snapshot: Situation,
  spec: DefaultedToken,
  rows: readonly TokenRow[],
  why: Extract<Happening, { what: 'DiedInUse' }>['why'],
  at = snapshot.now,
  quiet?: number,
): Announcements {
  return rows.flatMap((row) => {
    const use = snapshot.uses[row.id];
    return wasInUse(use, at, quiet) ? [of(snapshot, spec, row, { what: 'DiedInUse', why, at, use })] : [];
  });
}

/** When a token goes at the latest that was replaced at `since`. */
function lastEnd({ rotation, expiresAt }: DefaultedToken, since: number): number {
  return Math.min(
    since + rotation.deadline,
    expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
  );
}

function of(
  { object: { metadata }, notify: to }: Situation,
  { secretName }: DefaultedToken,
  { appId, id: credentialId }: TokenRow,
  happening: Happening,
): Announcement {
  const { namespace, name } = metadata;
  return announcement({ kind: 'RelayToken', namespace, name, appId, credentialId, secretName, to }, happening);
}
