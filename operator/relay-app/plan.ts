import { isDeepStrictEqual } from 'node:util';
import { FINALIZER } from '#crds/api-group.ts';
import { REASON } from '#crds/conditions.ts';
import { defaultedApp, type DefaultedApp } from '#crds/relay-app.ts';
import { hasFinalizer } from '../engine/finalizers.ts';
import { planRelease } from '../reconcile/removal.ts';
import { satisfies } from '../reconcile/secret-state.ts';
import type { AppPolicy, AppRow, FirstSight, WebhookHeaders } from '../registry/app-registry.ts';
import { deletedInUse, rotated } from './announcements.ts';
import { clashMessage, importOf } from './import.ts';
import { activeKey, handsOut, pendingKey } from './keys.ts';
import { planRetirements, type RetirementOutlook } from './retirement.ts';
import { planHandOut, planNextKey } from './rotation.ts';
import { requestedRotation } from '../rotation/rotate-request.ts';
import { stagedName } from '../rotation/staging.ts';
import { appSecret } from './secret.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan, AppStep } from './step.ts';
import { blockedPlan } from './status.ts';
import { sameHeaders, webhooksOf } from './webhooks.ts';

const DONE = { kind: 'done' } as const;

/** Decides the next steps for one app. Pure: golden pairs in `testdata/` are its test. */
export function planApp(snapshot: AppSnapshot): AppPlan {
  const { object } = snapshot;
  const held = hasFinalizer(object, FINALIZER);
  if (object.metadata.deletionTimestamp !== undefined)
    return held ? planRemoval(snapshot) : { steps: [], outcome: DONE };
  if (!held) return step({ do: 'AddFinalizer' });

  const spec = defaultedApp(object.metadata.name, object.spec);
  const { row } = snapshot;
  if (row === undefined || row.state !== 'Active') {
    // Before anything is minted: without its Secret the app would be of no use, and a person has to decide.
    if (snapshot.secret.kind === 'foreign') return conflict(snapshot, spec, snapshot.secret.why);
    return planRegistration(snapshot, spec);
  }
  if (spec.appId !== undefined && spec.appId !== row.appId) {
    return blockedPlan(
      snapshot,
      REASON.AppIdNotRetained,
      `this app has the id ${row.appId}: delete it, then apply it with that id to keep it, or as it is to take back ${spec.appId}`,
    );
  }
  if (row.objectUid !== object.metadata.uid)
    return step({ do: 'RebindApp', appId: row.appId, ...firstSight(snapshot) });
  const declared = declaredOf(snapshot, spec);
  if (!isDeepStrictEqual(row.policy, declared.policy) || !sameHeaders(row.webhookHeaders, declared.headers))
    return step({ do: 'UpdateApp', appId: row.appId, ...declared });
  // After the policy, `enabled: false` waits for nobody; and nothing keeps an old key alive.
  const outlook = planRetirements(snapshot, spec, row);
  if (outlook.steps.length > 0) return { steps: outlook.steps, outcome: DONE };
  if (snapshot.secret.kind === 'foreign') return conflict(snapshot, spec, snapshot.secret.why, outlook);
  return planCredentials(snapshot, spec, row, outlook);
}

function planRegistration(snapshot: AppSnapshot, spec: DefaultedApp): AppPlan {
  const imported = importOf(snapshot);
  if (imported.kind === 'unusable') return blockedPlan(snapshot, imported.reason, imported.message);
  const first = firstSight(snapshot);
  const declared = declaredOf(snapshot, spec);
  if (imported.kind === 'usable') {
    const { credentials } = imported;
    if (spec.appId !== undefined && spec.appId !== credentials.appId) {
      const message = `Secret ${spec.importFrom?.name ?? ''} has another app id than spec.appId: leave spec.appId out, or write ${spec.appId} there`;
      return blockedPlan(snapshot, REASON.AppIdDiffers, message);
    }
    if (snapshot.retired !== undefined)
      return step({ do: 'TakeBackApp', appId: snapshot.retired.appId, ...declared, ...first });
    if (snapshot.clash !== undefined) return blockedPlan(snapshot, REASON.Conflict, clashMessage(spec, snapshot.clash));
    return step({ do: 'RegisterApp', ...declared, first: { ...first.first, imported: credentials } });
  }
  if (snapshot.retired !== undefined)
    return step({ do: 'TakeBackApp', appId: snapshot.retired.appId, ...declared, ...first });
  if (spec.appId === undefined) return step({ do: 'RegisterApp', ...declared, ...first });
  return blockedPlan(
    snapshot,
    REASON.AppIdNotRetained,
    `no retained app of this namespace and name has the id ${spec.appId}: delete this object and apply it without spec.appId to get a new one`,
  );
}

/** The annotation of an object that was never seen before is no request: nobody asked this operator. */
function firstSight({ object }: AppSnapshot): { readonly first?: FirstSight } {
  const request = requestedRotation(object.metadata);
  return request === undefined ? {} : { first: { request } };
}

function planCredentials(snapshot: AppSnapshot, spec: DefaultedApp, row: AppRow, outlook: RetirementOutlook): AppPlan {
  const { object, secret, endpoints } = snapshot;
  const pending = pendingKey(row);
  // Its readers have the new key, so that the clock of the former one starts, and not before.
  if (pending !== undefined && handsOut(secret, pending)) {
    const { secretName, rotation } = spec;
    const announce = [rotated(snapshot, spec, row, pending)];
    return step({
      do: 'PromoteKey',
      appId: row.appId,
      id: pending.id,
      times: rotation.retirement,
      secretName,
      announce,
    });
  }
  const desired = appSecret(object, spec, row, activeKey(row), endpoints);
  if (secret.kind !== 'ours') return step({ do: 'ApplySecret', secret: desired });
  if (!satisfies(secret.secret, desired)) return step({ do: 'ReplaceSecret', seen: secret.secret, secret: desired });
  // A renamed Secret: the new one is there, so the old one may go. And the one in which a key waited that is handed out.
  const stray = snapshot.strays.find(({ name }) => pending === undefined || name !== stagedName(spec.secretName));
  if (stray !== undefined) return step({ do: 'DeleteSecret', secret: stray });
  return pending === undefined
    ? planNextKey(snapshot, spec, row, outlook)
    : planHandOut(snapshot, spec, row, pending, outlook);
}

function planRemoval(snapshot: AppSnapshot): AppPlan {
  const { object, row } = snapshot;
  if (row === undefined) return step({ do: 'RemoveFinalizer' });
  if (row.objectUid !== object.metadata.uid) {
    // Deleted before it was ever bound, e.g. in a rebuilt cluster: its credentials work and must end with it. Or a cache that lags shows
    // an object whose successor has the row: writing the finalizer that it already holds is refused then, and costs the successor nothing.
    return { steps: [{ do: 'AddFinalizer' }, { do: 'RebindApp', appId: row.appId }], outcome: DONE };
  }
  if (row.state === 'Active') {
    const spec = defaultedApp(object.metadata.name, object.spec);
    const announce = deletedInUse(snapshot, spec, row);
    return step({ do: 'RetireApp', appId: row.appId, policy: spec.deletionPolicy, announce });
  }
  // Not left to the garbage collector: whoever applies the same name again finds the way clear.
  const [owned] = snapshot.strays;
  if (owned !== undefined) return step({ do: 'DeleteSecret', secret: owned });
  const { revision, changedAt } = row;
  return planRelease({ enforced: snapshot.enforced, revision, changedAt }, snapshot.now);
}

function conflict(
  snapshot: AppSnapshot,
  { secretName }: DefaultedApp,
  why: string,
  outlook?: RetirementOutlook,
): AppPlan {
  const message = `Secret ${secretName} exists and is not this app's (${why}): delete it, or choose another spec.credentials.secretName`;
  return blockedPlan(snapshot, REASON.Conflict, message, outlook);
}

function step(only: AppStep): AppPlan {
  return { steps: [only], outcome: DONE };
}

/** What the relays shall enforce: in plain, and the part that is sealed. */
function declaredOf(
  snapshot: AppSnapshot,
  { enabled, authentication, access, limits, channels, secretScanning }: DefaultedApp,
): { readonly policy: AppPolicy; readonly headers: WebhookHeaders } {
  const { policy, headers } = webhooksOf(snapshot);
  const scanned = secretScanning === null ? {} : { secretScanning };
  return { policy: { enabled, authentication, access, limits, channels, ...scanned, webhooks: policy }, headers };
}
