import { CONDITION, REASON, type Reason } from '#crds/conditions.ts';
import { defaultedApp, type DefaultedApp, type RelayAppStatus } from '#crds/relay-app.ts';
import {
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reportedRevision,
  reportEnforced,
  stalled,
  warning,
  type Caution,
  type EnforcedReport,
} from '../reconcile/conditions.ts';
import { mailCaution } from '../notifications/mail-caution.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { countryCautions } from './country-cautions.ts';
import { timestamp } from '../engine/conditions.ts';
import { oldInUse } from '../rotation/old-credential.ts';
import { nextRotation } from '../rotation/schedule.ts';
import { unusualCredentials } from './import.ts';
import { activeKey } from './keys.ts';
import { endOf, type RetirementOutlook } from './retirement.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan } from './step.ts';
import { webhooksOf } from './webhooks.ts';

/** What is left to do only later. */
type Outlook = Pick<RetirementOutlook, 'cautions' | 'wakes'>;
const NOTHING_AHEAD: Outlook = { cautions: [], wakes: [] };

/**
 * Everything is as declared, or waits for the relays to agree.
 * @param hindered why something that is declared is not followed, although the app works
 */
export function settledPlan(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  outlook: Outlook,
  hindered: readonly Caution[] = [],
): AppPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const latched = isLatched(former, object.status?.revision, row.revision, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const { cautions } = webhooksOf(snapshot);
  const status: RelayAppStatus = {
    observedGeneration: generation,
    appId: row.appId,
    key: activeKey(row).key,
    secretName: spec.secretName,
    ...reportedRevision(report, object.status, row),
    ...keysOf(snapshot, spec, row),
    binding: { name: spec.secretName },
    conditions: conditionsOf({ former, now, generation }, [
      spec.enabled
        ? ready(REASON.Reconciled, `app ${row.appId} is published`)
        : ready(REASON.Disabled, 'disabled by spec.enabled: every request is refused'),
      credentialsReady('True', REASON.Issued, `Secret ${spec.secretName} holds the credentials`),
      warning([...hindered, ...cautionsOf(snapshot, row, outlook)]),
      report.condition,
    ]),
  };
  return {
    steps: [],
    status,
    ...oldInUse(outlook.cautions),
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent ? { await: row.revision } : {}),
    outcome: lookAgain(now, report, cautions.length + hindered.length > 0, outlook),
  };
}

/** A person must change something. What is published stays in force, and the status goes on to say what the relays make of it. */
export function blockedPlan(
  snapshot: AppSnapshot,
  reason: Reason,
  message: string,
  outlook: Outlook = NOTHING_AHEAD,
): AppPlan {
  const { object, now } = snapshot;
  const { generation, name } = object.metadata;
  const former = object.status?.conditions ?? [];
  const row = snapshot.row?.state === 'Active' ? snapshot.row : undefined;
  const latched = isLatched(former, object.status?.revision, row?.revision ?? 0, generation);
  const report = reportEnforced(row && snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const keys = row === undefined ? {} : keysOf(snapshot, defaultedApp(name, object.spec), row);
  return {
    steps: [],
    status: {
      ...object.status,
      observedGeneration: generation,
      ...(row === undefined ? {} : reportedRevision(report, object.status, row)),
      ...keys,
      conditions: conditionsOf({ former, now, generation }, [
        notReady(reason, message),
        credentialsReady('False', reason, message),
        stalled(reason, message),
        warning(cautionsOf(snapshot, row, outlook)),
        report.condition,
      ]),
    },
    ...oldInUse(outlook.cautions),
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent && row !== undefined ? { await: row.revision } : {}),
    outcome: lookAgain(now, report, true, outlook),
  };
}

function cautionsOf(snapshot: AppSnapshot, row: AppRow | undefined, { cautions }: Outlook): readonly Caution[] {
  const unusual = row === undefined ? [] : unusualCredentials(row);
  const { metadata, spec } = snapshot.object;
  const { notify } = defaultedApp(metadata.name, spec).rotation;
  return [
    ...unusual,
    ...mailCaution(notify, snapshot.mail),
    ...cautions,
    ...webhooksOf(snapshot).cautions,
    ...countryCautions(snapshot),
  ];
}

/** What a status says of keys: nothing that changes by itself, but for the end of one that outlived its overlap. */
function keysOf(
  { now }: AppSnapshot,
  { rotation: { interval } }: DefaultedApp,
  row: AppRow,
): Pick<RelayAppStatus, 'credentials' | 'rotation' | 'handledRequests'> {
  const { rotatedAt, rotateRequest, keys } = row;
  const { activatedAt, id: active } = activeKey(row);
  const next =
    interval === null || activatedAt === null
      ? null
      : nextRotation({ activatedAt, interval, id: active }, Math.max(now, activatedAt));
  return {
    credentials: keys.map(({ id, state, createdAt, retirement }) => ({
      id,
      state,
      createdAt,
      ...(retirement === null ? {} : { expiresAt: endOf(retirement, now) }),
    })),
    ...(rotatedAt === null && next === null
      ? {}
      : {
          rotation: {
            ...(rotatedAt === null ? {} : { last: timestamp(rotatedAt) }),
            ...(next === null ? {} : { next: timestamp(next) }),
          },
        }),
    ...(rotateRequest === null ? {} : { handledRequests: { rotate: rotateRequest } }),
  };
}

/** A time that is further away is slept in pieces: what is declared may change the clock's meaning, and a timer is not exact for months. */
const LONGEST_SLEEP_MS = 86_400_000;

/** @param hindered what is in the way may be an object that carries no label of ours, so that nothing tells when it goes. */
function lookAgain(
  now: number,
  { askAgainIn }: EnforcedReport,
  hindered: boolean,
  { wakes }: Outlook,
): AppPlan['outcome'] {
  const ahead = wakes.filter(Number.isFinite).map((at) => Math.min(Math.max(at - now, 1), LONGEST_SLEEP_MS));
  const times = [...ahead, ...(hindered ? [30_000] : []), askAgainIn].filter(Number.isFinite);
  return times.length === 0 ? { kind: 'done' } : { kind: 'requeueAfter', ms: Math.min(...times) };
}
