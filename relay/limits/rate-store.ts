import type { Rate } from '#crds/rate.ts';
import type { Bucket } from './token-bucket.ts';

/** Which budget: an app has one for requests and one for connects, and a token with a rate has its own. */
export type BudgetId = { readonly appId: string; /** `app`, `connect` or `token:{name}` */ readonly name: string };

export type LeaseRequest = {
  /** Requests that wait for an answer: they come before what would be taken ahead. */
  readonly need: number;
  /** As many as would be of use: `need` and what is to be taken ahead. */
  readonly want: number;
  /** Tokens that come back unspent; negative: spent without a lease while the store was away. */
  readonly back: number;
};

export type Lease = {
  /** Whole tokens that this replica may spend. */
  readonly granted: number;
  /** What the budget has left for everybody, with fractions. */
  readonly left: number;
};

/** The budgets that all replicas share. Never throws or rejects. */
export interface RateStore {
  /** undefined: the store is away, or its answer was lost; what it may have granted is lost then as well. */
  lease(budget: BudgetId, rate: Rate, request: LeaseRequest): Promise<Lease | undefined>;
  /** How many replicas live, as far as is known; at least 1. */
  replicas(): number;
}

/** Most of what is left that a replica may take ahead of need: others must find something. */
const SHARE = 1 / 4;
/** Where refill is fast, this much of it may be taken at once even when the bucket is nearly empty. */
const MIN_BATCH_MS = 20;

/**
 * One lease from a shared bucket; the Lua of redis/rate-store.ts says the same.
 * @param bucket undefined: never used, so full · @param now milliseconds on the store's clock
 */
export function leaseFrom(
  bucket: Bucket | undefined,
  { requestsPerMinute, burst }: Rate,
  { need, want, back }: LeaseRequest,
  now: number,
): { readonly bucket: Bucket; readonly granted: number } {
  const perMs = requestsPerMinute / 60_000;
  const filled = bucket === undefined ? burst : bucket.tokens + Math.max(0, now - bucket.at) * perMs;
  const tokens = Math.max(0, Math.min(burst, Math.min(burst, filled) + back));
  const ahead = Math.min(want, Math.max(Math.floor(tokens * SHARE), Math.floor(perMs * MIN_BATCH_MS)));
  const granted = Math.min(Math.floor(tokens), Math.max(need, ahead));
  return { bucket: { tokens: tokens - granted, at: now }, granted };
}
