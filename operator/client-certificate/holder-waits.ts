/**
 * Which objects want a fingerprint that another object has: they are looked at again as soon as that one lets a fingerprint go. Nothing is
 * lost with it, nor by a release in the moment between look and note: such an object is looked at again now and then all the same.
 */
export class HolderWaits {
  /** By the object that waits. */
  readonly #holders = new Map<string, string>();
  #wake: (key: string) => void = () => {};

  /** @param holder the object that has it; undefined: nobody is in the way (any more) */
  set(key: string, holder: string | undefined): void {
    if (holder === undefined) this.#holders.delete(key);
    else this.#holders.set(key, holder);
  }

  /** This object's fingerprints have changed. */
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
