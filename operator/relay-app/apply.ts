import type { RelayApp } from '#crds/relay-app.ts';
import { applySecret } from '../reconcile/apply-secret.ts';
import type { Registry } from '../registry/registry.ts';
import type { Objects } from '../world/objects.ts';
import type { Recorder } from '../world/recorder.ts';
import type { Secrets } from '../world/secrets.ts';
import type { AppStep } from './step.ts';

export type AppSinks = {
  readonly apps: Objects<RelayApp>;
  readonly secrets: Secrets;
  readonly registry: Registry;
  readonly recorder: Recorder;
};

/** Carries out one step: the only place where reconciling an app has effects. Repeating a step that was cut off is harmless. */
export async function applyAppStep(sinks: AppSinks, object: RelayApp, step: AppStep): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  const subject = { namespace, name, uid };
  switch (step.do) {
    case 'AddFinalizer':
      return sinks.apps.addFinalizer(object);
    case 'RegisterApp':
      return sinks.registry.registerApp(subject, step.policy, step.headers, step.first);
    case 'TakeBackApp':
      return sinks.registry.takeBackApp(subject, step.appId, step.policy, step.headers, step.first);
    case 'RebindApp':
      return sinks.registry.rebindApp(subject, step.appId, step.first);
    case 'UpdateApp':
      return sinks.registry.updateApp(subject, step.appId, step.policy, step.headers);
    case 'RecordRequest':
      return sinks.registry.recordKeyRotationRequest(subject, step.appId, step.value);
    case 'StageKey':
      return sinks.registry.stageKey(subject, step.appId, step.stage);
    case 'PromoteKey':
      await sinks.registry.promoteKey(subject, step.appId, step.id, step.times, step.announce);
      return sinks.recorder.event(
        object,
        'Normal',
        'KeyRotated',
        `key ${step.id} is in Secret ${step.secretName}; the former one works on for its overlap`,
      );
    case 'SetKeyTimes':
      return sinks.registry.setKeyTimes(subject, step.appId, step.id, step.times);
    case 'TellKeyInUse':
      await sinks.registry.noteKeyInUse(subject, step.appId, step.id, step.announce);
      return sinks.recorder.event(object, 'Warning', step.reason, step.message);
    case 'EndKey':
      return endKey(sinks, object, step);
    case 'Announce':
      return sinks.registry.announce(step.announcement);
    case 'CreateSecret':
      return applySecret(sinks, object, step.secret, (secrets, secret) => secrets.create(secret));
    case 'ReplaceSecret':
      return applySecret(sinks, object, step.secret, (secrets, secret) => secrets.replace(step.seen, secret));
    case 'ApplySecret':
      return applySecret(sinks, object, step.secret);
    case 'DeleteSecret':
      return sinks.secrets.delete(step.secret);
    case 'RetireApp':
      return sinks.registry.retireApp(subject, step.appId, step.policy, step.announce);
    case 'RemoveFinalizer':
      return sinks.apps.removeFinalizer(object);
    case 'Event':
      sinks.recorder.event(object, step.type, step.reason, step.message);
  }
}

async function endKey(
  { registry, recorder }: AppSinks,
  object: RelayApp,
  { appId, id, inUse, announce }: Extract<AppStep, { do: 'EndKey' }>,
): Promise<void> {
  await registry.endKey(object.metadata, appId, id, inUse, announce);
  if (!inUse) return;
  const message = `key ${id} was replaced, is still used, and its time is over: whoever uses it is refused from now on`;
  recorder.event(object, 'Warning', 'OldCredentialEnded', message);
}
