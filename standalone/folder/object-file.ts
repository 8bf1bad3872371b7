import { dump, load } from 'js-yaml';
import { z } from 'zod';
import { clientCertificateSpec, clientCertificateStatus } from '#crds/client-certificate.ts';
import { relayAppSpec, relayAppStatus } from '#crds/relay-app.ts';
import type { RelayObject } from '#crds/relay-object.ts';
import { relayTokenSpec, relayTokenStatus } from '#crds/relay-token.ts';
import { objectName } from '#crds/resource.ts';

export type FolderObject = RelayObject;

const metadata = z.object({
  name: objectName,
  namespace: objectName,
  uid: z.uuid(),
  generation: z.int().min(1),
  resourceVersion: z.string().regex(/^[0-9]+$/),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().exactOptional(),
  finalizers: z.array(z.string()).exactOptional(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  annotations: z.record(z.string(), z.string()).exactOptional(),
});

const common = { apiVersion: z.string(), metadata };
const object = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('RelayApp'), spec: relayAppSpec, status: relayAppStatus.exactOptional() }),
  z.object({
    ...common,
    kind: z.literal('RelayToken'),
    spec: relayTokenSpec,
    status: relayTokenStatus.exactOptional(),
  }),
  z.object({
    ...common,
    kind: z.literal('ClientCertificate'),
    spec: clientCertificateSpec,
    status: clientCertificateStatus.exactOptional(),
  }),
]);

/** As `kubectl get -o yaml` shows it. */
export function formatObject(value: FolderObject): string {
  return dump(value, { noRefs: true });
}

/** Throws an Error that says what is wrong. */
export function parseObject(text: string): FolderObject {
  const parsed = object.safeParse(load(text));
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  return parsed.data;
}
