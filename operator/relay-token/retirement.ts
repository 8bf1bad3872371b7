import type { DefaultedToken } from '#crds/relay-token.ts';
import type { TokenRotation } from '#crds/token-rotation.ts';
import { timestamp } from '../engine/conditions.ts';
import type { RetireToken, TokenEnd, TokenRow } from '../registry/token-registry.ts';
import { oldCredentialInUse, type OldCredentialCaution } from '../rotation/old-credential.ts';
import { judgeRetirement } from '../rotation/retirement.ts';
import type { Announcements } from '../notifications/announcement.ts';
import { endedInUse, oldTokenInUse } from './announcements.ts';
import { acceptedUntil, replaced } from './rows.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenStep } from './step.ts';

type Retirements = Pick<TokenSnapshot, 'now' | 'rows' | 'uses' | 'usesKnownUntil' | 'object' | 'notify'> & {
  readonly spec: DefaultedToken;
  /** spec.expiresAt: the end of every token of the object. Epoch ms. */
  readonly hardEnd: number | null;
};

export type RetirementOutlook = {
  readonly steps: readonly TokenStep[];
  /** Of those that outlive their overlap because they are used. */
  readonly cautions: readonly OldCredentialCaution[];
  /** When to look again, epoch ms. */
  readonly wakes: readonly number[];
};

/**
 * Its end is put off that long before it comes, so that no relay has reached it meanwhile; of a short overlap a tenth. A relay that has, because
 * this operator came late, accepts it during the grace.
 */
const LEAD_MS = 60_000;
/** One that is used gets that much more at a time, or an overlap if that is less: few revisions, and none for each look. */
const EXTENSION_MS = 86_400_000;
/** One that was replaced that far ahead was replaced under a clock that was wrong. */
const CLOCK_ERROR_MS = 3_600_000;
/** How long the relays say of a token that it has expired, instead of that it is unknown. */
const REMEMBERED_MS = 30 * 86_400_000;
const MOST_REMEMBERED = 8;

/** How a token ends that is replaced at `now`. */
export function retired(
  { sha256 }: TokenRow,
  rotation: TokenRotation,
  hardEnd: number | null,
  now: number,
): RetireToken {
  return { sha256, ...endAt(now + rotation.overlap, rotation, hardEnd) };
}

/** What is due of the tokens that were replaced: their end put off or not, over, or forgotten. Pure. */
export function planRetirements(snapshot: TokenSnapshot, spec: DefaultedToken): RetirementOutlook {
  const hardEnd = spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt);
  const retirements: Retirements = { ...snapshot, spec, hardEnd };
  const outlooks = replaced(retirements.rows).map((row) => outlookOf(row, retirements));
  const forgotten = forgettable(retirements);
  const forget: readonly TokenStep[] =
    forgotten.length === 0
      ? []
      : [{ do: 'RevokeTokens', hashes: forgotten.map((row) => row.sha256), reason: 'ended', announce: [] }];
  const over = outlooks.flatMap((outlook) => (outlook.over === undefined ? [] : [outlook.over]));
  const expire: readonly TokenStep[] =
    over.length === 0
      ? []
      : [
          {
            do: 'ExpireTokens',
            hashes: over.map(({ sha256 }) => sha256),
            announce: over.flatMap(({ announce }) => announce),
          },
        ];
  const remembered = retirements.rows
    .filter((row) => row.state === 'Expired')
    .map((row) => row.changedAt + REMEMBERED_MS);
  return {
    steps: [...forget, ...expire, ...outlooks.flatMap(({ steps = [] }) => steps)],
    cautions: outlooks.flatMap(({ caution }) => (caution === undefined ? [] : [caution])),
    wakes: [...outlooks.flatMap(({ wake }) => (wake === undefined ? [] : [wake])), ...remembered],
  };
}

type Outlook = {
  readonly steps?: readonly TokenStep[];
  /** Its time is over. */
  readonly over?: { readonly sha256: string; readonly announce: Announcements };
  readonly caution?: OldCredentialCaution;
  readonly wake?: number;
};

function outlookOf(row: TokenRow, retirements: Retirements): Outlook {
  const { now, spec, hardEnd, uses, usesKnownUntil } = retirements;
  const { rotation, secretName } = spec;
  const accepted = acceptedUntil(row);
  if (accepted !== null && accepted <= now) {
    const announce = endedInUse(retirements, spec, row, accepted);
    return { over: { sha256: row.sha256, announce } };
  }
  const wakes = accepted ?? undefined;
  const since = row.retiringAt ?? row.changedAt;
  if (since > now + CLOCK_ERROR_MS) {
    const end = endAt(Math.min(now + rotation.overlap, row.expiresAt ?? Infinity), rotation, hardEnd);
    return row.state === 'Ending' ? { wake: accepted ?? now } : { steps: [setEnd(row, end, true)] };
  }
  // Only a hard end that was moved up still concerns it.
  if (row.state === 'Ending') {
    const end = capped(row, hardEnd);
    return same(row, end) ? wake(wakes) : { steps: [setEnd(row, end, true)] };
  }
  const lead = Math.min(LEAD_MS, rotation.overlap / 10);
  const overlapEnd = since + rotation.overlap;
  const latest = Math.max(overlapEnd, since + rotation.deadline - rotation.grace);
  const use = uses[row.id] ?? null;
  const times = { since, overlap: rotation.overlap, deadline: latest - since };
  const verdict = judgeRetirement({ ...times, use, useKnownUntil: usesKnownUntil }, now + lead);
  const until = cap(since + rotation.deadline, hardEnd);
  switch (verdict.kind) {
    case 'overlap': {
      const end = endAt(overlapEnd, rotation, hardEnd);
      return same(row, end) ? { wake: overlapEnd - lead } : { steps: [setEnd(row, end, false)] };
    }
    case 'inUse': {
      const step = Math.min(EXTENSION_MS, rotation.overlap);
      const held = row.expiresAt !== null && row.expiresAt > now + lead && row.expiresAt >= overlapEnd;
      const expiresAt = held ? Math.min(row.expiresAt ?? latest, latest) : Math.min(now + lead + step, latest);
      const end = endAt(expiresAt, rotation, hardEnd);
      const caution =
        verdict.certain && use !== null
          ? oldCredentialInUse({ kind: 'token', id: row.id, use, secretName, until })
          : undefined;
      if (same(row, end)) {
        const next = Math.min(verdict.until - lead, ...(expiresAt > now + lead ? [expiresAt - lead] : []), until);
        return { wake: next, ...(caution === undefined ? {} : { caution }) };
      }
      const first = (row.expiresAt ?? 0) <= overlapEnd;
      const told: readonly TokenStep[] =
        first && caution !== undefined
          ? [{ do: 'Event', type: 'Warning', reason: caution.reason, message: caution.message }]
          : [];
      const announce = caution === undefined ? [] : oldTokenInUse(retirements, spec, row);
      return { steps: [setEnd(row, end, false, announce), ...told] };
    }
    case 'end': {
      const expiresAt = Math.max(overlapEnd, Math.min(row.expiresAt ?? now, now));
      const end = endAt(Math.min(expiresAt, latest), rotation, hardEnd);
      const told: readonly TokenStep[] = verdict.inUse
        ? [
            {
              do: 'Event',
              type: 'Warning',
              reason: 'OldCredentialEnded',
              message: `token ${row.id} is still used and goes: it has reached its deadline, and is refused from ${timestamp(end.graceUntil ?? end.expiresAt ?? now)} on`,
            },
          ]
        : [];
      return { steps: [setEnd(row, end, true), ...told] };
    }
  }
}

const wake = (at: number | undefined): Outlook => (at === undefined ? {} : { wake: at });

function setEnd({ sha256 }: TokenRow, end: TokenEnd, final: boolean, announce: Announcements = []): TokenStep {
  return { do: 'SetEnd', sha256, ...end, final, ...(announce.length === 0 ? {} : { announce }) };
}

function endAt(expiresAt: number, { grace }: TokenRotation, hardEnd: number | null): TokenEnd {
  return capped({ expiresAt, graceUntil: grace > 0 ? expiresAt + grace : null }, hardEnd);
}

/** A hard end has no grace behind it. */
function capped({ expiresAt, graceUntil }: TokenEnd, hardEnd: number | null): TokenEnd {
  if (hardEnd === null) return { expiresAt, graceUntil };
  const end = expiresAt === null ? hardEnd : Math.min(expiresAt, hardEnd);
  const grace = graceUntil === null ? null : Math.min(graceUntil, hardEnd);
  return { expiresAt: end, graceUntil: grace === null || grace <= end ? null : grace };
}

const cap = (time: number, hardEnd: number | null): number => Math.min(time, hardEnd ?? Number.POSITIVE_INFINITY);

function same(row: TokenEnd, end: TokenEnd): boolean {
  return row.expiresAt === end.expiresAt && row.graceUntil === end.graceUntil;
}

function forgettable({ rows, now }: Retirements): readonly TokenRow[] {
  const expired = rows.filter((row) => row.state === 'Expired').toSorted((a, b) => b.changedAt - a.changedAt);
  return expired.filter((row, index) => index >= MOST_REMEMBERED || row.changedAt + REMEMBERED_MS <= now);
}
