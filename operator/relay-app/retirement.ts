import type { DefaultedApp } from '#crds/relay-app.ts';
import { timestamp } from '../engine/conditions.ts';
import type { KeyRetirement } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { oldCredentialInUse, type OldCredentialCaution } from '../rotation/old-credential.ts';
import { judgeRetirement, type Retirement } from '../rotation/retirement.ts';
import { endedInUse, oldKeyInUse } from './announcements.ts';
import { retiringKeys, type RetiringKey } from './keys.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppStep } from './step.ts';

export type RetirementOutlook = {
  readonly steps: readonly AppStep[];
  /** Of those that are used beyond their overlap. */
  readonly cautions: readonly OldCredentialCaution[];
  /** When to look again, epoch ms. */
  readonly wakes: readonly number[];
};

/** What was stamped that far ahead was stamped under a clock that was wrong. */
const CLOCK_ERROR_MS = 3_600_000;

/** What is due of the keys that were replaced: their times as declared now, their end, a word to people. Pure. */
export function planRetirements(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow): RetirementOutlook {
  const outlooks = retiringKeys(row).map((key) => outlookOf(snapshot, spec, row, key));
  return {
    steps: outlooks.flatMap(({ steps }) => steps),
    cautions: outlooks.flatMap(({ cautions }) => cautions),
    wakes: outlooks.flatMap(({ wakes }) => wakes),
  };
}

/** The step that ends a key now. @param why it goes; null: nobody used it. Somebody is refused from then on if it is known to be used. */
export function endKey(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  key: RetiringKey,
  why: 'Deadline' | 'MadeRoom' | null,
): AppStep {
  const announce = why === null ? [] : endedInUse(snapshot, spec, row, key, why);
  return { do: 'EndKey', appId: row.appId, id: key.id, inUse: why === 'Deadline' || announce.length > 0, announce };
}

function outlookOf(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow, key: RetiringKey): RetirementOutlook {
  const { now, uses } = snapshot;
  const { appId } = row;
  const { id, retirement } = key;
  const wanted = wantedTimes(retirement, spec, now);
  // Once its end has come relays refuse it, and nothing that is declared later brings it back.
  const verdict = judged(snapshot, id, retirement.expiresAt <= now ? retirement : wanted);
  if (verdict.kind === 'end') {
    const inUse = verdict.inUse ? 'Deadline' : null;
    return { steps: [endKey(snapshot, spec, row, key, inUse)], cautions: [], wakes: [] };
  }
  if (!sameTimes(wanted, retirement))
    return { steps: [{ do: 'SetKeyTimes', appId, id, times: wanted }], cautions: [], wakes: [] };
  const use = uses.get(id);
  // Where nobody can say whether it is used it stays as well, and there is nobody to name.
  if (verdict.kind === 'overlap' || !verdict.certain || use === undefined)
    return { steps: [], cautions: [], wakes: [verdict.until] };
  const { secretName } = spec;
  const caution = oldCredentialInUse({ kind: 'key', id, use, secretName, until: retirement.expiresAt });
  const announce = oldKeyInUse(snapshot, spec, row, key);
  const tell: AppStep = { do: 'TellKeyInUse', appId, id, reason: caution.reason, message: caution.message, announce };
  return { steps: retirement.inUseTold ? [] : [tell], cautions: [caution], wakes: [verdict.until] };
}

function judged(
  { now, uses, usesKnownUntil }: AppSnapshot,
  id: string,
  { since, overlapUntil, expiresAt }: Times,
): Retirement {
  const times = { since, overlap: overlapUntil - since, deadline: expiresAt - since };
  return judgeRetirement({ ...times, use: uses.get(id) ?? null, useKnownUntil: usesKnownUntil }, now);
}

type Times = Omit<KeyRetirement, 'inUseTold'>;

/** As `spec.rotation` says now, where there is one: without it, what held when the key was replaced. */
function wantedTimes(
  { since: stamped, overlapUntil, expiresAt }: KeyRetirement,
  { rotation: { declared, retirement } }: DefaultedApp,
  now: number,
): Times {
  const since = stamped > now + CLOCK_ERROR_MS ? now : stamped;
  const overlap = declared ? retirement.overlap : overlapUntil - stamped;
  const deadline = declared ? retirement.deadline : expiresAt - stamped;
  return { since, overlapUntil: since + overlap, expiresAt: since + deadline };
}

function sameTimes(a: Times, b: Times): boolean {
  return a.since === b.since && a.overlapUntil === b.overlapUntil && a.expiresAt === b.expiresAt;
}

/** When a replaced key goes, as things stand: after the overlap, and one that outlived that at its deadline. RFC 3339. */
export function endOf({ overlapUntil, expiresAt }: KeyRetirement, now: number): string {
  return timestamp(now < overlapUntil ? overlapUntil : expiresAt);
}
