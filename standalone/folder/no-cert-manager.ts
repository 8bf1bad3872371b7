import { TransientError } from '#operator/engine/errors.ts';
import type { CertManager } from '#operator/world/cert-manager.ts';

const MESSAGE =
  'spec.issue needs a cluster with cert-manager, and this is a folder: use spec.certificate or spec.fingerprint here';

/** A folder has none, and never will. */
export const NO_CERT_MANAGER: CertManager = {
  state: () => ({ kind: 'missing', message: MESSAGE }),
  find: () => undefined,
  look: () => Promise.resolve(undefined),
  apply: () => Promise.reject(new TransientError('CertManagerNotInstalled', MESSAGE)),
  delete: () => Promise.reject(new TransientError('CertManagerNotInstalled', MESSAGE)),
};
