import type { DefaultedToken } from '#crds/relay-token.ts';
import { announcement, type Announcement, type Announcements } from '../notifications/announcement.ts';
import { isNoticeDue, noticeAt } from '../notifications/notice.ts';
import type { Happening } from '../notifications/occasion.ts';
import type { RetireToken, TokenRow } from '../registry/token-registry.ts';
import { MOST_QUIET_MS, wasInUse } from '../rotation/retirement.ts';
import { dueOf } from './rotation.ts';
import { acceptedUntil } from './rows.ts';
import type { TokenSnapshot } from './snapshot.ts';

/** What people are told of a token, and when (docs/notifications.md). Pure. */

/** `due` is to be announced now, if it was not before; `wakes` says when to look again, epoch ms. */
export type Notices = { readonly due: Announcements; readonly wakes: readonly number[] };

/** That an expiry hit somebody is told for that long after it: an operator that comes later still tells nothing that everybody knows. */
const NEWS_MS = 7 * 86_400_000;

type Situation = Pick<TokenSnapshot, 'object' | 'now' | 'notify' | 'uses'>;

/** Of the token in the Secret: what comes by the clock alone. */
export function noticesOf(snapshot: Situation, spec: DefaultedToken, active: TokenRow): Notices {
  const { now } = snapshot;
  const end = spec.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(spec.expiresAt);
  if (end <= now) return { due: isNews(end, now) ? endedInUse(snapshot, spec, active, end) : [], wakes: [] };
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

/** Its time was over at `at`. Nothing, if nobody had used it lately. */
export function endedInUse(snapshot: Situation, spec: DefaultedToken, row: TokenRow, at: number): Announcements {
  const why = spec.expiresAt !== undefined && at >= Date.parse(spec.expiresAt) ? 'Expired' : 'Deadline';
  return diedAt(snapshot, spec, row, { why, at, quiet: Math.min(spec.rotation.overlap, MOST_QUIET_MS) });
}

/** They go with what is done now. Nothing of those that nobody used lately; and of those that were over already that they are. */
export function died(
  snapshot: Situation,
  spec: DefaultedToken,
  rows: readonly TokenRow[],
  why: Death['why'],
): Announcements {
  const { now } = snapshot;
  return rows.flatMap((row) => {
    const over = acceptedUntil(row);
    if (over === null || over > now) return diedAt(snapshot, spec, row, { why, at: now });
    return isNews(over, now) ? endedInUse(snapshot, spec, row, over) : [];
  });
}

type Death = Pick<Extract<Happening, { what: 'DiedInUse' }>, 'why' | 'at'> & { readonly quiet?: number };

function diedAt(snapshot: Situation, spec: DefaultedToken, row: TokenRow, { why, at, quiet }: Death): Announcements {
  const use = snapshot.uses[row.id];
  return wasInUse(use, at, quiet) ? [of(snapshot, spec, row, { what: 'DiedInUse', why, at, use })] : [];
}

function isNews(at: number, now: number): boolean {
  return now < at + NEWS_MS;
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
