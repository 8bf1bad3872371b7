import { REASON } from '#crds/conditions.ts';
import type { DefaultedApp } from '#crds/relay-app.ts';
import { occasionKey } from '../notifications/occasion.ts';
import { satisfies } from '../reconcile/secret-state.ts';
import type { Caution } from '../reconcile/conditions.ts';
import type { AppKey, StageKey } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import { judgeRotateRequest } from '../rotation/rotate-request.ts';
import { nextRotation } from '../rotation/schedule.ts';
import { stagedName } from '../rotation/staging.ts';
import { noticesOf } from './announcements.ts';
import { clashMessage, differs, importOf } from './import.ts';
import { activeKey, retiringKeys } from './keys.ts';
import { endKey, type RetirementOutlook } from './retirement.ts';
import { appSecret, stagedSecret } from './secret.ts';
import type { AppSnapshot } from './snapshot.ts';
import { blockedPlan, settledPlan } from './status.ts';
import type { AppPlan, AppStep } from './step.ts';

/** More are not kept beside the present one: the oldest that outlived its overlap makes room, and while there is none a rotation waits. */
const MOST_RETIRING = 8;

/**
 * A rotation that is under way (ARCHITECTURE.md, "Handing out a key"): the new key is in the directory. It waits in a Secret of its own until
 * every relay verifies it, and only then is it what readers of the real Secret get. Where no relay runs there is nobody who could refuse it.
 */
export function planHandOut(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  pending: AppKey,
  outlook: RetirementOutlook,
): AppPlan {
  const { object, staged, secret, enforced, endpoints } = snapshot;
  const name = stagedName(spec.secretName);
  if (staged.kind === 'foreign') {
    const message = `Secret ${name}, in which the next key waits until every relay knows it, exists and is not this app's (${staged.why}): delete it`;
    return blockedPlan(snapshot, REASON.Conflict, message, outlook);
  }
  const waiting = stagedSecret(object, spec, row, pending, endpoints);
  if (staged.kind === 'absent') return step({ do: 'CreateSecret', secret: waiting });
  // Of a rotation before this one.
  if (!satisfies(staged.secret, waiting)) return step({ do: 'DeleteSecret', secret: staged.secret });
  const known = enforced?.status === 'True' || enforced?.reason === REASON.NoReplicas;
  if (!known || secret.kind !== 'ours') return settledPlan(snapshot, spec, row, outlook);
  const handedOut = appSecret(object, spec, row, pending, endpoints);
  return step({ do: 'ReplaceSecret', seen: secret.secret, secret: handedOut });
}

/** Whether another key is due: asked for, by the time, or because the imported Secret changed. */
export function planNextKey(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  outlook: RetirementOutlook,
): AppPlan {
  const { object, now } = snapshot;
  const { appId } = row;
  const handled = { registry: row.rotateRequest, status: object.status?.handledRequests?.rotate };
  const request = judgeRotateRequest(object.metadata, handled);
  if (request.kind === 'unrecorded') return step({ do: 'RecordRequest', appId, value: request.value });
  if (spec.importFrom !== null) {
    if (request.kind === 'rotate') return ignored(appId, request.value, spec.importFrom.name);
    return planImport(snapshot, spec, row, outlook);
  }
  const active = activeKey(row);
  const { interval, rotates } = spec.rotation;
  const { activatedAt, id } = active;
  const due =
    interval === null || activatedAt === null
      ? Number.POSITIVE_INFINITY
      : nextRotation({ activatedAt, interval, id }, now);
  const stage = { rotates, imported: null } as const;
  if (request.kind === 'rotate')
    return staging(snapshot, spec, row, { ...stage, reason: 'request', request: request.value }, outlook);
  if (due <= now) return staging(snapshot, spec, row, { ...stage, reason: 'interval', request: null }, outlook);
  const notices = noticesOf(snapshot, spec, row);
  const announcement = notices.due.find(({ occasion }) => !snapshot.announced.has(occasionKey(occasion)));
  if (announcement !== undefined) return step({ do: 'Announce', announcement });
  return settledPlan(snapshot, spec, row, { ...outlook, wakes: [...outlook.wakes, due, ...notices.wakes] });
}

function planImport(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow, outlook: RetirementOutlook): AppPlan {
  const imported = importOf(snapshot);
  if (imported.kind !== 'usable') return settledPlan(snapshot, spec, row, outlook, importCautions(imported));
  const { credentials } = imported;
  if (credentials.appId !== row.appId) {
    const message = `Secret ${spec.importFrom?.name ?? ''} has another app id than this app, and an id stays for life: write ${row.appId} there, or delete this app and apply it again`;
    return blockedPlan(snapshot, REASON.AppIdDiffers, message, outlook);
  }
  if (!differs(credentials, row)) return settledPlan(snapshot, spec, row, outlook);
  if (snapshot.clash !== undefined)
    return blockedPlan(snapshot, REASON.Conflict, clashMessage(spec, snapshot.clash), outlook);
  const stage = { rotates: 'KeyAndSecret', imported: credentials, reason: 'import', request: null } as const;
  return staging(snapshot, spec, row, stage, outlook);
}

/** The app works on with what it has. */
function importCautions(imported: ReturnType<typeof importOf>): readonly Caution[] {
  if (imported.kind !== 'unusable') return [];
  const { reason, message } = imported;
  return [{ reason, message: `credentials.importFrom is not followed: ${message}` }];
}

function staging(
  snapshot: AppSnapshot,
  spec: DefaultedApp,
  row: AppRow,
  stage: StageKey,
  outlook: RetirementOutlook,
): AppPlan {
  const retiring = retiringKeys(row);
  if (retiring.length < MOST_RETIRING) return step({ do: 'StageKey', appId: row.appId, stage });
  const outlived = retiring.find(({ retirement }) => retirement.overlapUntil <= snapshot.now);
  if (outlived !== undefined) return step(endKey(snapshot, spec, row, outlived, 'MadeRoom'));
  return settledPlan(snapshot, spec, row, outlook);
}

function ignored(appId: string, value: string, secretName: string): AppPlan {
  const message = `the keys of this app are those of Secret ${secretName}: change them there, and the app follows`;
  return {
    steps: [
      { do: 'RecordRequest', appId, value },
      { do: 'Event', type: 'Warning', reason: 'RotationIgnored', message },
    ],
    outcome: { kind: 'done' },
  };
}

function step(only: AppStep): AppPlan {
  return { steps: [only], outcome: { kind: 'done' } };
}
