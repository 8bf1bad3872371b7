import type { V1ObjectMeta } from '@kubernetes/client-node';
import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import { API_VERSION, GROUP, MANAGED_LABEL } from '#crds/api-group.ts';
import type { DefaultedIssue } from '#crds/client-certificate.ts';
import { durationMs, formatDuration } from '#crds/duration.ts';
import type { EngineObject } from '../engine/object.ts';
import type { DesiredCertificate, StoredCertificate } from '../world/cert-manager.ts';
import { troubleOf, type KubernetesRequest } from './trouble.ts';

/** A Certificate as the API server sends it. */
export type KubernetesCertificate = EngineObject &
  Pick<ICertificate, 'spec' | 'status'> & { readonly metadata: V1ObjectMeta };

type CertificateSpec = NonNullable<ICertificate['spec']>;

/** What is applied. cert-manager copies labels of a Certificate to its requests, which is how those are found; labels of users are not on it. */
export function certificateManifest({ namespace, name, ownerUid, issue }: DesiredCertificate) {
  const { algorithm, size } = issue.privateKey;
  const spec: CertificateSpec = {
    secretName: issue.secretName,
    commonName: issue.commonName,
    duration: formatDuration(issue.durationMs),
    renewBefore: formatDuration(issue.renewBeforeMs),
    usages: ['client auth'],
    privateKey: { algorithm, ...(size === 0 ? {} : { size }), rotationPolicy: 'Always' },
    issuerRef: { ...issue.issuerRef },
  };
  return {
    metadata: {
      namespace,
      name,
      labels: { [MANAGED_LABEL]: 'true' },
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: 'ClientCertificate',
          name,
          uid: ownerUid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec,
  };
}

/** The UID of the ClientCertificate that it belongs to. */
export function ownerUidOf({ metadata }: KubernetesCertificate): string | undefined {
  return metadata.ownerReferences?.find(
    ({ apiVersion, kind }) => apiVersion.startsWith(`${GROUP}/`) && kind === 'ClientCertificate',
  )?.uid;
}

export function storedCertificate(
  certificate: KubernetesCertificate,
  requests: readonly KubernetesRequest[],
): StoredCertificate {
  const { metadata, spec, status } = certificate;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const ofThisSpec = ready?.observedGeneration === undefined || ready.observedGeneration === metadata.generation;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    ownerUid: ownerUidOf(certificate),
    createdAt: new Date(metadata.creationTimestamp ?? 0).getTime(),
    issue: spec === undefined ? undefined : issueOf(spec),
    ready: ready?.status === 'True' && ofThisSpec,
    notAfter: status?.notAfter === undefined ? null : Date.parse(status.notAfter),
    trouble: troubleOf(certificate, requests),
  };
}

/** The inverse of {@link certificateManifest}, in whatever form others have written the same. */
function issueOf(spec: CertificateSpec): DefaultedIssue | undefined {
  const { secretName, commonName, duration, renewBefore, usages, privateKey, issuerRef } = spec;
  if (commonName === undefined || duration === undefined || renewBefore === undefined) return undefined;
  if (privateKey?.algorithm === undefined || privateKey.rotationPolicy !== 'Always') return undefined;
  if (usages?.length !== 1 || usages[0] !== 'client auth' || spec.isCA === true) return undefined;
  return {
    kind: 'issue',
    issuerRef: {
      name: issuerRef.name,
      kind: issuerRef.kind ?? 'Issuer',
      group: issuerRef.group ?? 'cert-manager.io',
    },
    commonName,
    durationMs: durationMs(duration),
    renewBeforeMs: durationMs(renewBefore),
    secretName,
    privateKey: { algorithm: privateKey.algorithm, size: privateKey.size ?? 0 },
  };
}
