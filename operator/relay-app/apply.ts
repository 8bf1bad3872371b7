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
      return sinks.registry.registerApp(subject, step.policy, step.headers);
    case 'TakeBackApp':
      return sinks.registry.takeBackApp(subject, step.appId, step.policy, step.headers);
    case 'RebindApp':
      return sinks.registry.rebindApp(subject, step.appId);
    case 'UpdateApp':
      return sinks.registry.updateApp(subject, step.appId, step.policy, step.headers);
    case 'ApplySecret':
      return applySecret(sinks, object, step.secret);
    case 'DeleteSecret':
      return sinks.secrets.delete(step.secret);
    case 'RetireApp':
      return sinks.registry.retireApp(subject, step.appId, step.policy);
    case 'RemoveFinalizer':
      return sinks.apps.removeFinalizer(object);
    case 'Event':
      sinks.recorder.event(object, step.type, step.reason, step.message);
  }
}
