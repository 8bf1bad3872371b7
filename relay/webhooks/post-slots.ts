/**
 * How many POSTs a replica has under way. When all slots are taken, apps that wait are served in turn, whatever each of them asks for: endpoints
 * that take their time, however many, cost another app one turn.
 */
export class PostSlots {
  #free: number;
  /** By app, in the order of their turns; each in its own order. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Runs when there is a slot. */
  async run<T>(appId: string, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else {
      await new Promise<void>((resolve) => {
        const queue = this.#waiting.get(appId);
        if (queue === undefined) this.#waiting.set(appId, [resolve]);
        else queue.push(resolve);
      });
    }
    try {
      return await task();
    } finally {
      this.#pass();
    }
  }

  #pass(): void {
    const [turn] = this.#waiting;
    if (turn === undefined) {
      this.#free += 1;
      return;
    }
    const [appId, queue] = turn;
    this.#waiting.delete(appId);
    const next = queue.shift();
    // To the end: the other ones come first now.
    if (queue.length > 0) this.#waiting.set(appId, queue);
    next?.();
  }
}
