import type { Monotonic } from '../limits/monotonic.ts';
import type { Beat } from './store.ts';

/** Which replicas of one process there are, when each last beat, and which apps it has touched: what is to be cleaned up if it dies. */
export class MemoryReplicas {
  readonly #now: Monotonic;
  readonly #leaseMs: number;
  readonly #beats = new Map<string, number>();
  readonly #touched = new Map<string, Set<string>>();
  /** Who buries whom. */
  readonly #burials = new Map<string, string>();

  constructor(now: Monotonic, leaseMs: number) {
    this.#now = now;
    this.#leaseMs = leaseMs;
  }

  lose(): void {
    this.#beats.clear();
    this.#touched.clear();
    this.#burials.clear();
  }

  touch(replica: string, appIds: readonly string[]): boolean {
    if (!this.#beats.has(replica)) this.#beats.set(replica, this.#now());
    this.#touched.set(replica, new Set([...(this.#touched.get(replica) ?? []), ...appIds]));
    return true;
  }

  untouch(replica: string, appId: string): void {
    this.#touched.get(replica)?.delete(appId);
  }

  beat(replica: string): Beat {
    const now = this.#now();
    this.#beats.set(replica, now);
    const silentFor = [...this.#beats].map(([name, at]) => [name, now - at] as const);
    const named = (which: (ms: number) => boolean): string[] =>
      silentFor.filter(([, ms]) => which(ms)).map(([name]) => name);
    return {
      apps: this.#touched.get(replica)?.size ?? 0,
      known: [...this.#beats.keys()],
      silent: named((ms) => ms > this.#leaseMs / 2),
      dead: named((ms) => ms > this.#leaseMs),
    };
  }

  /** undefined: another replica has taken it on. */
  appsOfDead(dead: string, by: string): string[] | undefined {
    const other = this.#burials.get(dead);
    if (other !== undefined && other !== by) return undefined;
    this.#burials.set(dead, by);
    return [...(this.#touched.get(dead) ?? [])];
  }

  bury(dead: string): void {
    this.#burials.delete(dead);
    // Unless it has beaten meanwhile.
    if (this.#now() - (this.#beats.get(dead) ?? 0) > this.#leaseMs) this.forget(dead);
  }

  forget(replica: string): void {
    this.#beats.delete(replica);
    this.#touched.delete(replica);
  }
}
