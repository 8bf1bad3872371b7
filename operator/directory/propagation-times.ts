import type { Histogram } from 'prom-client';
import type { MonotonicClock } from './clock.ts';
import { evaluateEnforced } from './enforcement.ts';
import type { Enforcement } from './enforcement-watch.ts';

/** `removal`: something was taken away, such as a credential that was revoked. */
export type ChangeKind = 'removal' | 'other';

export type PropagationTimesParts = {
  readonly enforcement: Pick<Enforcement, 'view' | 'onChange'>;
  readonly clock: Pick<MonotonicClock, 'monotonic'>;
  readonly seconds: Histogram<'change'>;
};

/** More than are ever under way; beyond, the oldest are not measured. */
const MOST_PENDING = 10_000;

/**
 * How long a change takes from its commit until every relay that counts has acknowledged it, for all kinds at the one place that they all come
 * through. Where no relay is, nothing is measured.
 */
export class PropagationTimes {
  readonly #parts: PropagationTimesParts;
  /** In the order of revisions, which is that of commits. */
  readonly #pending = new Map<number, { readonly at: number; readonly change: ChangeKind }>();

  constructor(parts: PropagationTimesParts) {
    this.#parts = parts;
    parts.enforcement.onChange(() => this.#look());
  }

  committed(revision: number, change: ChangeKind): void {
    const [oldest] = this.#pending.keys();
    if (this.#pending.size >= MOST_PENDING && oldest !== undefined) this.#pending.delete(oldest);
    this.#pending.set(revision, { at: this.#parts.clock.monotonic(), change });
  }

  #look(): void {
    const { enforcement, clock, seconds } = this.#parts;
    const view = enforcement.view();
    // Another process leads: what it publishes it measures itself.
    if (view.head.epoch === 0) return this.#pending.clear();
    for (const [revision, { at, change }] of this.#pending) {
      const { status, reason } = evaluateEnforced({ view, revision, entryKeys: [], since: 0, latched: false });
      if (status !== 'True' && reason !== 'NoReplicas') return;
      this.#pending.delete(revision);
      if (status === 'True') seconds.observe({ change }, (clock.monotonic() - at) / 1_000);
    }
  }
}
