import { isOutdated, type Enforced } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';

/**
 * The objects that wait for a word of the relays, by the verdict that they were told: looked at again as soon as it is another one. Of the
 * thousands that may wait, a relay that has moved on concerns those whose revisions it has passed.
 */
export class PendingKeys {
  readonly #enforcement: Enforcement;
  readonly #told = new Map<string, Enforced>();
  #wake: (key: string) => void = () => {};

  constructor(enforcement: Enforcement) {
    this.#enforcement = enforcement;
  }

  /** @param told undefined: it does not wait (any more) */
  set(key: string, told: Enforced | undefined): void {
    if (told === undefined) {
      this.#told.delete(key);
      return;
    }
    this.#told.set(key, told);
    // Since it was looked at, the relays may have said more.
    this.#ask(key, told);
  }

  /** Returns the way to stop. */
  start(wake: (key: string) => void): () => void {
    this.#wake = wake;
    const unsubscribe = this.#enforcement.onChange(() => {
      for (const [key, told] of this.#told) this.#ask(key, told);
    });
    return () => {
      unsubscribe();
      this.#wake = () => {};
    };
  }

  /** Once: the look that this leads to tells the next verdict, or that the object waits no longer. */
  #ask(key: string, told: Enforced): void {
    if (!isOutdated(told, this.#enforcement.view())) return;
    this.#told.delete(key);
    this.#wake(key);
  }
}
