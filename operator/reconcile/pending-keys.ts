import type { Enforcement } from '../directory/enforcement-watch.ts';

/** The objects that wait for a word of the relays: asked again as soon as any relay reports, and nobody else is. */
export class PendingKeys {
  readonly #enforcement: Enforcement;
  readonly #keys = new Set<string>();

  constructor(enforcement: Enforcement) {
    this.#enforcement = enforcement;
  }

  set(key: string, pending: boolean): void {
    if (pending) this.#keys.add(key);
    else this.#keys.delete(key);
  }

  /** Returns the way to stop. */
  start(enqueue: (key: string) => void): () => void {
    return this.#enforcement.onChange(() => {
      for (const key of this.#keys) enqueue(key);
    });
  }
}
