import { MOST_LAST, MOST_WAITING, type FactSink } from './fact-sink.ts';

/** What the relays of one process, or of one test, tell. */
export class MemoryFacts implements FactSink {
  #last = 0;
  #waiting: { readonly id: string; readonly text: string }[] = [];
  #away = false;

  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }
  /** As FLUSHALL does it. */
  lose(): void {
    this.#waiting = [];
  }

  append(text: string, last: boolean): Promise<boolean> {
    if (this.#away || this.#waiting.length >= (last ? MOST_LAST : MOST_WAITING)) return Promise.resolve(false);
    this.#last += 1;
    this.#waiting.push({ id: String(this.#last), text });
    return Promise.resolve(true);
  }

  /** Oldest first. */
  read(limit: number): Promise<readonly { readonly id: string; readonly text: string }[]> {
    return this.#away ? Promise.reject(new Error('away')) : Promise.resolve(this.#waiting.slice(0, limit));
  }

  drop(ids: readonly string[]): Promise<void> {
    const dropped = new Set(ids);
    this.#waiting = this.#waiting.filter(({ id }) => !dropped.has(id));
    return Promise.resolve();
  }
}
