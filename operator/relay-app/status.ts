import { CONDITION, REASON } from '#crds/conditions.ts';
import type { DefaultedApp, RelayAppStatus } from '#crds/relay-app.ts';
import {
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reportEnforced,
  stalled,
} from '../reconcile/conditions.ts';
import type { AppRow } from '../registry/registry.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan } from './step.ts';

/** Everything is as declared; what is left to say is whether the relays agree. */
export function settledPlan(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow): AppPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const latched = isLatched(former, object.status?.revision, row.revision, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const status: RelayAppStatus = {
    observedGeneration: generation,
    appId: row.appId,
    key: row.keys.at(-1)?.key ?? '',
    secretName: spec.secretName,
    revision: row.revision,
    credentials: row.keys.map((key) => ({ id: key.id, state: 'Active', createdAt: key.createdAt })),
    binding: { name: spec.secretName },
    conditions: conditionsOf({ former, now, generation }, [
      spec.enabled
        ? ready(REASON.Reconciled, `app ${row.appId} is published`)
        : ready(REASON.Disabled, 'disabled by spec.enabled: every request is refused'),
      credentialsReady('True', REASON.Issued, `Secret ${spec.secretName} holds the credentials`),
      report.condition,
    ]),
  };
  return {
    steps: [],
    status,
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent ? { await: row.revision } : {}),
    outcome: report.pending ? { kind: 'requeueAfter', ms: 2_000 } : { kind: 'done' },
  };
}

/** A person must change something. What was published before stays in force, and stays in the status. */
export function blockedStatus(
  snapshot: AppSnapshot,
  reason: 'Conflict' | 'AppIdNotRetained',
  message: string,
): RelayAppStatus {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  return {
    ...object.status,
    observedGeneration: generation,
    conditions: conditionsOf({ former, now, generation }, [
      notReady(reason, message),
      credentialsReady('False', reason, message),
      stalled(reason, message),
      findCondition(former, CONDITION.Enforced),
    ]),
  };
}
