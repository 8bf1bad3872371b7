/** What a Lease says (coordination.k8s.io/v1 LeaseSpec). Times are V1MicroTime strings, for people only. */
export type LeaseRecord = {
  /** '' when nobody holds it. */
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly leaseTransitions: number;
};

/** A record together with what makes the next update fail when somebody was faster. */
export type HeldLease = { readonly record: LeaseRecord; readonly version: string };

/** One named record that is compared and swapped. All three MUST end, by throwing, when the signal aborts. */
export type LeaseLock = {
  /** For logs. */
  readonly name: string;
  get(signal: AbortSignal): Promise<HeldLease | undefined>;
  /** MUST throw when it exists. */
  create(record: LeaseRecord, signal: AbortSignal): Promise<HeldLease>;
  /** MUST throw when `version` is not the present one. */
  update(record: LeaseRecord, version: string, signal: AbortSignal): Promise<HeldLease>;
};

/** RFC 3339 with microseconds, the only form that the API server takes for a V1MicroTime. `ms` since the epoch. */
export function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}
