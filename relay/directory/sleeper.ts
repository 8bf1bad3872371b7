import type { MonotonicClock } from './clock.ts';

/** A sleep that can be cut short; waking while nobody sleeps cuts the next sleep, so that no wake is lost. */
export class Sleeper {
  readonly #clock: Pick<MonotonicClock, 'sleep'>;
  #alarm = new AbortController();

  constructor(clock: Pick<MonotonicClock, 'sleep'>) {
    this.#clock = clock;
  }

  wake(): void {
    this.#alarm.abort();
  }

  async sleep(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#alarm.signal);
    this.#alarm = new AbortController();
  }
}
