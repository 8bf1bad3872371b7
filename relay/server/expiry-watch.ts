import type { MonotonicClock } from '../directory/clock.ts';
import type { Directory } from '../directory/directory.ts';
import { Sleeper } from '../directory/sleeper.ts';

export type ExpiryClock = Pick<MonotonicClock, 'sleep'> & {
  /** Epoch milliseconds. */
  now(): number;
};

export type ExpiryWatchParts = {
  readonly directory: Pick<Directory, 'apps' | 'nextEnd' | 'onApplied'>;
  readonly clock: ExpiryClock;
  /** Something of these apps has ended since they were last looked at. */
  readonly ended: (appIds: readonly string[]) => void;
};

/** The wall clock may be set meanwhile, so it is looked at again at least this often. */
const LONGEST_SLEEP_MS = 30_000;

/**
 * Says of which app something has ended by the clock: a change that nobody publishes, because the directory said it beforehand. What ends
 * is the directory's business (`nextEnd`), what comes of it the listener's. Disposing ends it.
 */
export class ExpiryWatch implements AsyncDisposable {
  readonly #parts: ExpiryWatchParts;
  /** When the next thing of an app ends; apps of which nothing will are not here. */
  readonly #ends = new Map<string, number>();
  readonly #sleeper: Sleeper;
  readonly #unlisten: () => void;
  readonly #watching: Promise<void>;
  /** As the wall clock said when the ends were last looked at. */
  #lookedAt: number;
  #stopped = false;

  constructor(parts: ExpiryWatchParts) {
    const { directory, clock } = parts;
    this.#parts = parts;
    this.#sleeper = new Sleeper(clock);
    this.#lookedAt = clock.now();
    this.#unlisten = directory.onApplied(({ appIds, tokenApps }) => {
      for (const appId of [...appIds, ...tokenApps]) this.#expect(appId);
      this.#sleeper.wake();
      return Promise.resolve();
    });
    this.#expectAll();
    this.#watching = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#unlisten();
    this.#sleeper.wake();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const now = this.#parts.clock.now();
      // Set back: what had ended has not, and will end again.
      if (now < this.#lookedAt) this.#expectAll();
      const ended = [...this.#ends].flatMap(([appId, at]) => (at <= now ? [appId] : []));
      this.#lookedAt = now;
      for (const appId of ended) this.#expect(appId);
      if (ended.length > 0) this.#parts.ended(ended);
      const next = Math.min(...this.#ends.values(), now + LONGEST_SLEEP_MS);
      await this.#sleeper.sleep(next - now);
    }
  }

  #expectAll(): void {
    this.#lookedAt = this.#parts.clock.now();
    for (const { appId } of this.#parts.directory.apps()) this.#expect(appId);
  }

  #expect(appId: string): void {
    // From where the last look was, so that what ends between that and a change of the same app is still told.
    const end = this.#parts.directory.nextEnd(appId, this.#lookedAt);
    if (end === undefined) this.#ends.delete(appId);
    else this.#ends.set(appId, end);
  }
}
