import { CONDITION, REASON } from '#crds/conditions.ts';
import type { DefaultedApp, RelayApp, RelayAppStatus } from '#crds/relay-app.ts';
import {
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reportEnforced,
  stalled,
  warning,
  type EnforcedReport,
} from '../reconcile/conditions.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { countryCautions } from './country-databases.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan } from './step.ts';
import { webhooksOf } from './webhooks.ts';

/** Everything is as declared; what is left to say is whether the relays agree. */
export function settledPlan(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow): AppPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const latched = isLatched(former, object.status?.revision, row.revision, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const { cautions } = webhooksOf(snapshot);
  const status: RelayAppStatus = {
    observedGeneration: generation,
    appId: row.appId,
    key: row.keys.at(-1)?.key ?? '',
    secretName: spec.secretName,
    ...revisionOf(object, row, report),
    credentials: row.keys.map((key) => ({ id: key.id, state: 'Active', createdAt: key.createdAt })),
    binding: { name: spec.secretName },
    conditions: conditionsOf({ former, now, generation }, [
      spec.enabled
        ? ready(REASON.Reconciled, `app ${row.appId} is published`)
        : ready(REASON.Disabled, 'disabled by spec.enabled: every request is refused'),
      credentialsReady('True', REASON.Issued, `Secret ${spec.secretName} holds the credentials`),
      warning([...cautions, ...countryCautions(snapshot)]),
      report.condition,
    ]),
  };
  return {
    steps: [],
    status,
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent ? { await: row.revision } : {}),
    outcome: lookAgain(report.pending, cautions.length > 0),
  };
}

/** A person must change something. What is published stays in force, and the status goes on to say what the relays make of it. */
export function blockedPlan(snapshot: AppSnapshot, reason: 'Conflict' | 'AppIdNotRetained', message: string): AppPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const row = snapshot.row?.state === 'Active' ? snapshot.row : undefined;
  const latched = isLatched(former, object.status?.revision, row?.revision ?? 0, generation);
  const report = reportEnforced(row && snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  return {
    steps: [],
    status: {
      ...object.status,
      observedGeneration: generation,
      ...(row === undefined ? {} : revisionOf(object, row, report)),
      conditions: conditionsOf({ former, now, generation }, [
        notReady(reason, message),
        credentialsReady('False', reason, message),
        stalled(reason, message),
        warning([...webhooksOf(snapshot).cautions, ...countryCautions(snapshot)]),
        report.condition,
      ]),
    },
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent && row !== undefined ? { await: row.revision } : {}),
    outcome: lookAgain(report.pending, true),
  };
}

/** The revision that `Enforced` speaks of. */
function revisionOf(
  { status }: RelayApp,
  { revision }: AppRow,
  { former }: Pick<EnforcedReport, 'former'>,
): Pick<RelayAppStatus, 'revision'> {
  if (!former) return { revision };
  return status?.revision === undefined ? {} : { revision: status.revision };
}

/** @param hindered what is in the way may be an object that carries no label of ours, so that nothing tells when it goes. */
function lookAgain(pending: boolean, hindered: boolean): AppPlan['outcome'] {
  if (pending) return { kind: 'requeueAfter', ms: 2_000 };
  return hindered ? { kind: 'requeueAfter', ms: 30_000 } : { kind: 'done' };
}
