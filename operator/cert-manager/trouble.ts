import type { V1ObjectMeta } from '@kubernetes/client-node';
import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import type { ICertificateRequest } from '@kubernetes-models/cert-manager/cert-manager.io/v1/CertificateRequest';
import type { EngineObject } from '../engine/object.ts';
import type { Trouble } from '../world/cert-manager.ts';

/** A CertificateRequest as the API server sends it. */
export type KubernetesRequest = EngineObject &
  Pick<ICertificateRequest, 'status'> & { readonly metadata: V1ObjectMeta };

const REVISION = 'cert-manager.io/certificate-revision';

/**
 * Why there is no certificate yet, or no next one, in the most telling words that cert-manager has: those of the request that is under way
 * (the issuer is missing, refuses, is not approved), else of the Certificate. null: nothing is wrong. Pure.
 */
export function troubleOf(
  { status }: Pick<ICertificate, 'status'>,
  requests: readonly KubernetesRequest[],
): Trouble | null {
  const next = String((status?.revision ?? 0) + 1);
  const request = requests.find(({ metadata }) => metadata.annotations?.[REVISION] === next);
  const ofRequest = request === undefined ? null : requestTrouble(request);
  if (ofRequest?.failed === true) return ofRequest;
  const issuing = status?.conditions?.find(({ type }) => type === 'Issuing');
  if (issuing?.status === 'False' && issuing.reason === 'Failed')
    return { failed: true, message: issuing.message ?? 'it failed' };
  if (ofRequest !== null) return ofRequest;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'False' ? { failed: false, message: ready.message ?? ready.reason ?? 'not ready' } : null;
}

function requestTrouble({ status }: KubernetesRequest): Trouble | null {
  const conditions = status?.conditions ?? [];
  const refused = conditions.find(
    (condition) => ['Denied', 'InvalidRequest'].includes(condition.type) && condition.status === 'True',
  );
  if (refused !== undefined) return { failed: true, message: refused.message ?? refused.type };
  const ready = conditions.find(({ type, status: value }) => type === 'Ready' && value === 'False');
  if (ready === undefined) return null;
  return { failed: ready.reason === 'Failed', message: ready.message ?? ready.reason ?? 'not ready' };
}
