import { REASON } from '#crds/conditions.ts';
import { timestamp } from '../engine/conditions.ts';
import type { Caution } from '../reconcile/conditions.ts';
import type { CredentialUse } from '../registry/credential-use.ts';

/** A credential that was replaced and is used beyond its overlap. */
export type OldCredential = {
  readonly kind: 'key' | 'token';
  /** As the status names it. Never a value. */
  readonly id: string;
  readonly use: CredentialUse;
  /** Which Secret has the new one. */
  readonly secretName: string;
  /** It is refused from then on at the latest, epoch ms. */
  readonly until: number;
};

/** What people are told of it, in the condition and in Events, and who it is, for the metric. */
export type OldCredentialCaution = Caution & Pick<OldCredential, 'id' | 'use'>;

export function oldCredentialInUse({ kind, id, use, secretName, until }: OldCredential): OldCredentialCaution {
  const client = use.client === null ? '' : `, last by ${use.client}`;
  return {
    id,
    use,
    reason: REASON.OldCredentialInUse,
    message: `${kind} ${id} was replaced and is still used (${roughly(use.requests)}${client}): whoever does must read Secret ${secretName} again; it is refused from ${timestamp(until)} on`,
  };
}

/** What a plan says of them. */
export function oldInUse(cautions: readonly OldCredentialCaution[]): { readonly oldInUse?: readonly OldInUse[] } {
  if (cautions.length === 0) return {};
  return { oldInUse: cautions.map(({ id, use: { requests, client } }) => ({ credential: id, requests, client })) };
}

/** One that outlives its overlap: which, how many requests, and by whom, as far as that is known. */
export type OldInUse = Pick<CredentialUse, 'requests' | 'client'> & { readonly credential: string };

/** In steps of 1, 2, 5, 10 …: a status that counted exactly would be written at every look. */
function roughly(requests: number): string {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(requests, 1)));
  const step = [5, 2, 1].find((leading) => leading * magnitude <= requests) ?? 1;
  return requests <= 1 ? 'at least 1 request' : `at least ${step * magnitude} requests`;
}
