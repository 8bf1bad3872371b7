/**
 * A world of processes whose every call to a server is a step that somebody else decides on: it happens, it fails before or after it
 * happened, or it waits. Time is virtual and passes only when told to.
 */
export type Outcome = 'done' | 'failed before' | 'failed after';

type Pending = {
  readonly process: SimulatedProcess;
  readonly target: 'redis' | 'postgres';
  readonly enabled: () => boolean;
  readonly settle: (outcome: Outcome) => void;
};

export class SimulatedProcess {
  crashed = false;
  paused = false;
  /** Cut off from Redis. */
  partitioned = false;
  /** Its monotonic clock differs from others by this. */
  readonly offset: number;
  readonly inbox: (() => void)[] = [];
  readonly name: string;

  constructor(name: string, offset: number) {
    this.name = name;
    this.offset = offset;
  }

  /** Lets the process see something; a crashed one never does, a frozen one later. */
  deliver(effect: () => void): void {
    if (this.crashed) return;
    if (this.paused) this.inbox.push(effect);
    else effect();
  }

  resume(): void {
    this.paused = false;
    for (const effect of this.inbox.splice(0)) effect();
  }
}

export class Simulation {
  now = 0;
  readonly pending: Pending[] = [];
  readonly #timers: { readonly at: number; readonly fire: () => void }[] = [];

  /** A call of `process` to a server; `effect` is what happens there, at once. */
  async call<T>(
    process: SimulatedProcess,
    target: 'redis' | 'postgres',
    effect: () => T | Promise<T>,
    enabled: () => boolean = () => true,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const fail = (error: unknown): void => process.deliver(() => reject(error));
    const settle = (outcome: Outcome): void => {
      if (outcome === 'failed before') return fail(new Error('connection lost'));
      let value: T | Promise<T>;
      try {
        value = effect();
      } catch (error) {
        return fail(error);
      }
      if (outcome === 'failed after') return fail(new Error('connection lost'));
      process.deliver(() => resolve(value));
    };
    this.pending.push({ process, target, enabled, settle });
    return promise;
  }

  /** Decides on one of the calls that wait; false: there is none. */
  step(choice: number, outcome: Outcome): boolean {
    const able = this.pending.filter(({ enabled }) => enabled());
    const chosen = able[choice % Math.max(able.length, 1)];
    if (chosen === undefined) return false;
    this.pending.splice(this.pending.indexOf(chosen), 1);
    const cut = chosen.target === 'redis' && chosen.process.partitioned;
    chosen.settle(cut ? 'failed before' : outcome);
    return true;
  }

  async sleep(process: SimulatedProcess, ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => process.deliver(resolve);
    signal.addEventListener('abort', wake, { once: true });
    this.#timers.push({ at: this.now + Math.max(ms, 1), fire: wake });
    await promise;
    signal.removeEventListener('abort', wake);
  }

  /** Time passes, and what is due fires in order. */
  advance(ms: number): void {
    this.now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at);
    for (const timer of due) this.#timers.splice(this.#timers.indexOf(timer), 1);
    for (const { fire } of due) fire();
  }

  /** Time passes up to the next timer, at most `ms`. */
  advanceToNext(ms: number): void {
    const next = Math.min(...this.#timers.map(({ at }) => at), this.now + ms);
    this.advance(Math.max(0, next - this.now));
  }
}
