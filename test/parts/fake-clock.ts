import type { Clock } from '#operator/engine/clock.ts';

type Sleeper = { readonly at: number; readonly order: number; readonly wake: () => void };

/**
 * A Clock that moves only when told to. Whatever becomes due wakes in order, at its own time, and everything that follows from it without
 * waiting has happened before the next one wakes.
 */
export class FakeClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  readonly #wallOffset: number;
  #time = 0;
  #order = 0;

  /** @param wallOffset what now() is at monotonic() 0, milliseconds since the epoch */
  constructor(wallOffset = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = wallOffset;
  }

  now(): number {
    return this.#wallOffset + this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  /** Sleeps under way. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** When the next sleep ends, in monotonic time; undefined when nobody sleeps. */
  get next(): number | undefined {
    return this.#first()?.at;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper: Sleeper = { at: this.#time + Math.max(ms, 0), order: (this.#order += 1), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Moves time on by `ms`, through every sleep that ends on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#time + ms;
    await settled();
    for (let first = this.#first(); first !== undefined && first.at <= end; first = this.#first()) {
      this.#time = Math.max(this.#time, first.at);
      first.wake();
      await settled();
    }
    this.#time = end;
    await settled();
  }

  #first(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (first === undefined || sleeper.at < first.at || (sleeper.at === first.at && sleeper.order < first.order)) {
        first = sleeper;
      }
    }
    return first;
  }
}

/** Resolves when every promise that can go on without time or I/O has done so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
