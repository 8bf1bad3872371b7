/** Of a fingerprint that nobody has yet: what a revoked object waits for, which says that no relay accepts it. */
export const unheld = (appId: string, sha256: string): string => `sha256:${appId}/${sha256}`;

/**
 * Which objects want a fingerprint that another object has: they are looked at again as soon as that one lets a fingerprint go. And which say
 * that nobody has theirs: they are when somebody does. Nothing is lost with it, nor by a change in the moment between look and note: such an
 * object is looked at again all the same.
 */
export class HolderWaits {
  /** By the object that waits. */
  readonly #holders = new Map<string, string>();
  #wake: (key: string) => void = () => {};

  /**
   * @param holder the object that has it, or `unheld`; undefined: it waits for nothing (any more)
   * @returns whether it waits for something else than before.
   */
  set(key: string, holder: string | undefined): boolean {
    const isNew = holder !== this.#holders.get(key);
    if (holder === undefined) this.#holders.delete(key);
    else this.#holders.set(key, holder);
    return isNew;
  }

  /** This object's fingerprints have changed, or this one has a holder now. */
  changed(holder: string): void {
    for (const [key, of] of this.#holders) {
      if (of !== holder) continue;
      this.#holders.delete(key);
      this.#wake(key);
    }
  }

  /** Returns the way to stop. */
  start(wake: (key: string) => void): () => void {
    this.#wake = wake;
    return () => {
      this.#wake = () => {};
      this.#holders.clear();
    };
  }
}
