import { z } from 'zod';
import type { HeldLease, LeaseLock, LeaseRecord } from '../engine/lease-lock.ts';
import type { KubernetesClient } from './client.ts';
import { LEASES } from './resource-type.ts';

/** A Lease as others may have written it: every field of its spec is optional. */
const lease = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .nullish(),
});

/** A LeaseLock on a `coordination.k8s.io/v1` Lease. The client must not be fenced by the very lease. */
export function leaseLock(
  client: KubernetesClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): LeaseLock {
  const write = (record: LeaseRecord, resourceVersion?: string) => ({
    metadata: { namespace, name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    // An empty time is no V1MicroTime; absent is what the API server has for it.
    spec: {
      ...record,
      acquireTime: record.acquireTime === '' ? undefined : record.acquireTime,
      renewTime: record.renewTime === '' ? undefined : record.renewTime,
    },
  });
  return {
    name: `${namespace}/${name}`,
    get: async (signal) => {
      const found = await client.get(LEASES, { namespace, name }, { signal });
      return found === undefined ? undefined : held(found);
    },
    create: async (record, signal) => held(await client.create(LEASES, write(record), { signal })),
    update: async (record, version, signal) => held(await client.update(LEASES, write(record, version), { signal })),
  };
}

function held(answer: unknown): HeldLease {
  const { metadata, spec } = lease.parse(answer);
  return {
    version: metadata.resourceVersion,
    record: {
      holderIdentity: spec?.holderIdentity ?? '',
      leaseDurationSeconds: spec?.leaseDurationSeconds ?? 0,
      acquireTime: spec?.acquireTime ?? '',
      renewTime: spec?.renewTime ?? '',
      leaseTransitions: spec?.leaseTransitions ?? 0,
    },
  };
}
