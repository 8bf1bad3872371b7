import { setTimeout as delay } from 'node:timers/promises';

/** Time as the directory needs it. Nothing here reads the wall clock: an hour of difference between two processes changes nothing. */
export interface MonotonicClock {
  /** Milliseconds since some moment; never goes back. */
  monotonic(): number;
  /** Resolves after `ms`, or when the signal is aborted. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The clock of this machine. */
export const monotonicClock: MonotonicClock = {
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal });
    } catch {
      // Aborted: the caller looks at its signal.
    }
  },
};
