import type { Rate } from '#crds/rate.ts';
import type { Monotonic } from './monotonic.ts';
import { leaseFrom, type BudgetId, type Lease, type LeaseRequest, type RateStore } from './rate-store.ts';
import type { Bucket } from './token-bucket.ts';

type Kept = { readonly bucket: Bucket; readonly fullAt: number };

/** The store of one process; replicas of one test share an instance. */
export class MemoryRateStore implements RateStore {
  readonly #now: Monotonic;
  readonly #replicas: number;
  readonly #kept = new Map<string, Kept>();
  #sweptAt: number;
  #away = false;

  constructor(now: Monotonic, replicas = 1) {
    this.#now = now;
    this.#replicas = replicas;
    this.#sweptAt = now();
  }

  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }

  lease({ appId, name }: BudgetId, rate: Rate, request: LeaseRequest): Promise<Lease | undefined> {
    if (this.#away) return Promise.resolve(undefined);
    const now = this.#now();
    this.#sweep(now);
    const key = `${appId}\n${name}`;
    const { bucket, granted } = leaseFrom(this.#kept.get(key)?.bucket, rate, request, now);
    const fullAt = now + ((rate.burst - bucket.tokens) * 60_000) / rate.requestsPerMinute;
    this.#kept.set(key, { bucket, fullAt });
    return Promise.resolve({ granted, left: bucket.tokens });
  }

  replicas(): number {
    return this.#replicas;
  }

  /** Full buckets need not be remembered. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < 60_000) return;
    this.#sweptAt = now;
    for (const [key, { fullAt }] of this.#kept) if (fullAt <= now) this.#kept.delete(key);
  }
}
