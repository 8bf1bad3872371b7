export type Delayed<T> = { readonly at: number; readonly value: T; dropped: boolean };

/** A binary heap of things that become due. Dropping one only marks it; it is skipped when its time comes. */
export class DelayHeap<T> {
  readonly #heap: Delayed<T>[] = [];

  push(at: number, value: T): Delayed<T> {
    const entry: Delayed<T> = { at, value, dropped: false };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  /** When the next one is due; undefined when there is none. */
  next(): number | undefined {
    while (this.#heap[0]?.dropped === true) this.#pop();
    return this.#heap[0]?.at;
  }

  /** The next one that is due at `now`, taken out. */
  due(now: number): T | undefined {
    const at = this.next();
    return at === undefined || at > now ? undefined : this.#pop()?.value;
  }

  #pop(): Delayed<T> | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && last !== top) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return top;
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#heap[a], this.#heap[b]];
    if (left === undefined || right === undefined) return;
    this.#heap[a] = right;
    this.#heap[b] = left;
  }

  #up(from: number): void {
    for (let index = from; index > 0;) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= this.#at(index)) return;
      this.#swap(parent, index);
      index = parent;
    }
  }

  #down(from: number): void {
    for (let index = from; ;) {
      const left = 2 * index + 1;
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(index) <= this.#at(child)) return;
      this.#swap(index, child);
      index = child;
    }
  }
}
