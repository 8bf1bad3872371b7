import type { DefaultedApp } from '#crds/relay-app.ts';
import { announcement, type Announcement } from '../notifications/announcement.ts';
import { isNoticeDue, noticeAt } from '../notifications/notice.ts';
import type { Happening } from '../notifications/occasion.ts';
import type { AppKey, StageKey } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { wasInUse } from '../rotation/retirement.ts';
import { nextRotation } from '../rotation/schedule.ts';
import { activeKey, retiringKeys, type RetiringKey } from './keys.ts';
import type { AppSnapshot } from './snapshot.ts';

/** What people are told of an app's keys, and when (docs/notifications.md). Pure. */

const CAUSE = { interval: 'Interval', request: 'Annotation', import: 'Imported' } as const satisfies Record<
  StageKey['reason'],
  string
>;

/** Of a key that is told of before it happens: `upcoming` is due now, `wakes` says when to look again, epoch ms. */
export type Notices = { readonly due: readonly Announcement[]; readonly wakes: readonly number[] };

/** The rotation that comes by the clock. */
export function noticesOf(
  { object, now }: Pick<AppSnapshot, 'object' | 'now'>,
  spec: DefaultedApp,
  row: AppRow,
): Notices {
  const { interval, retirement } = spec.rotation;
  const { id, activatedAt } = activeKey(row);
  if (interval === null || activatedAt === null) return { due: [], wakes: [] };
  const at = nextRotation({ activatedAt, interval, id }, now);
  if (now < noticeAt(at, interval)) return { due: [], wakes: [noticeAt(at, interval)] };
  if (!isNoticeDue(at, interval, now)) return { due: [], wakes: [] };
  const happening = { what: 'RotationUpcoming', at, overlapMs: retirement.overlap } as const;
  return { due: [of({ object }, spec, row, id, happening)], wakes: [] };
}

/** The pending key takes the place of the active one now. */
export function rotated(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow, pending: AppKey): Announcement {
  const { now } = snapshot;
  const { overlap, deadline } = spec.rotation.retirement;
  const cause = CAUSE[pending.cause ?? 'interval'];
  const times = { at: now, worksUntil: now + overlap, goneBy: now + deadline };
  return of(snapshot, spec, row, activeKey(row).id, { what: 'Rotated', cause, ...times });
}

/** It outlived its overlap, because somebody uses it. Nothing, as long as nobody is known to. */
export function oldKeyInUse(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  { id, retirement }: RetiringKey,
): readonly Announcement[] {
  const use = snapshot.uses.get(id);
  if (use === undefined) return [];
  const { overlapUntil: at, expiresAt: goneBy } = retirement;
  return [of(snapshot, spec, row, id, { what: 'OldCredentialInUse', at, goneBy, use })];
}

/** A replaced key ends, and somebody uses it as far as is known. */
export function endedInUse(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  { id, retirement }: RetiringKey,
  why: 'Deadline' | 'MadeRoom',
): readonly Announcement[] {
  const use = snapshot.uses.get(id);
  const at = Math.min(retirement.expiresAt, snapshot.now);
  if (!wasInUse(use, at)) return [];
  return [of(snapshot, spec, row, id, { what: 'DiedInUse', why, at, use })];
}

/** The app goes, and every key that somebody used lately with it. */
export function deletedInUse(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow): readonly Announcement[] {
  const { now, uses } = snapshot;
  return [activeKey(row), ...retiringKeys(row)].flatMap(({ id }) => {
    const use = uses.get(id);
    if (!wasInUse(use, now)) return [];
    return [of(snapshot, spec, row, id, { what: 'DiedInUse', why: 'Deleted', at: now, use })];
  });
}

function of(
  { object: { metadata } }: Pick<AppSnapshot, 'object'>,
  { secretName, rotation: { notify } }: DefaultedApp,
  { appId }: AppRow,
  credentialId: string,
  happening: Happening,
): Announcement {
  const { namespace, name } = metadata;
  return announcement({ kind: 'RelayApp', namespace, name, appId, credentialId, secretName, to: notify }, happening);
}
