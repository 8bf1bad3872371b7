import type { ClientCertificate } from '#crds/client-certificate.ts';
import { tellRefusal } from '../reconcile/told-refusal.ts';
import type { Registry } from '../registry/registry.ts';
import type { CertManager, DesiredCertificate } from '../world/cert-manager.ts';
import type { Objects } from '../world/objects.ts';
import type { Recorder } from '../world/recorder.ts';
import type { Secrets } from '../world/secrets.ts';
import type { CertificateStep } from './step.ts';

export type CertificateSinks = {
  readonly certificates: Objects<ClientCertificate>;
  readonly secrets: Secrets;
  readonly certManager: CertManager;
  readonly registry: Registry;
  readonly recorder: Recorder;
};

/** Carries out one step: the only place where reconciling a client certificate has effects. Repeating a step that was cut off is harmless. */
export async function applyCertificateStep(
  sinks: CertificateSinks,
  object: ClientCertificate,
  step: CertificateStep,
): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  const subject = { namespace, name, uid };
  switch (step.do) {
    case 'AddFinalizer':
      return sinks.certificates.addFinalizer(object);
    case 'RegisterCertificate':
      return sinks.registry.registerCertificate(subject, step.register);
    case 'EndCertificates':
      return sinks.registry.endCertificates(subject, step.rows, step.state, step.reason, step.announce);
    case 'Announce':
      return sinks.registry.announce(step.announcement);
    case 'ApplyCertificate':
      return applyCertificate(sinks, object, step.certificate);
    case 'DeleteCertificate':
      return sinks.certManager.delete(step.certificate);
    case 'DeleteIssuedSecret':
      return sinks.secrets.delete(step.secret);
    case 'RemoveFinalizer':
      return sinks.certificates.removeFinalizer(object);
    case 'Event':
      sinks.recorder.event(object, step.type, step.reason, step.message);
  }
}

function applyCertificate(
  { certManager, recorder }: CertificateSinks,
  object: ClientCertificate,
  desired: DesiredCertificate,
): Promise<void> {
  const told = (error: Error): string => `Certificate ${desired.name} could not be written: ${error.message}`;
  const refusal = { recorder, object, reason: 'CertificateNotWritten', message: told } as const;
  return tellRefusal(refusal, () => certManager.apply(desired));
}
