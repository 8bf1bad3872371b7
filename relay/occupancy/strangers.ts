import type { Monotonic } from '../limits/monotonic.ts';

/**
 * Replicas that have numbers of an app and of whose life nothing is known: whoever dies right after Redis lost everything has written again,
 * and not beaten again, so nobody would ever bury it. Who stays a stranger for a lease is dead.
 */
export class Strangers {
  readonly #leaseMs: number;
  readonly #now: Monotonic;
  readonly #since = new Map<string, Map<string, number>>();

  constructor(leaseMs: number, now: Monotonic) {
    this.#leaseMs = leaseMs;
    this.#now = now;
  }

  /** Apps to be looked at again. */
  apps(): Iterable<string> {
    return this.#since.keys();
  }

  /** @returns of the holders those that are dead. */
  look(appId: string, holders: readonly string[], known: ReadonlySet<string>): string[] {
    const before = this.#since.get(appId);
    const strangers = holders.filter((holder) => !known.has(holder));
    const since = new Map(strangers.map((stranger) => [stranger, before?.get(stranger) ?? this.#now()]));
    if (since.size > 0) this.#since.set(appId, since);
    else this.#since.delete(appId);
    return strangers.filter((stranger) => this.#now() - (since.get(stranger) ?? 0) >= this.#leaseMs);
  }
}
