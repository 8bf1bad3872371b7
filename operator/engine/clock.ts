import { setTimeout as delay } from 'node:timers/promises';

/** Time as the engine sees it, so that every rule about time can be tested without waiting. */
export type Clock = {
  /** Wall time, milliseconds since the epoch. For timestamps that people read; never compared between machines. */
  now(): number;
  /** Milliseconds that only move forward. For durations and deadlines. */
  monotonic(): number;
  /** Resolves after `ms` (any length, 0 and negative included); rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** setTimeout overflows beyond this and would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    const end = performance.now() + ms;
    for (let left = ms; ; left = end - performance.now()) {
      try {
        await delay(Math.min(Math.max(left, 0), LONGEST_TIMER), undefined, signal ? { signal } : {});
      } catch (error) {
        throw signal?.aborted === true ? signal.reason : error;
      }
      if (left <= LONGEST_TIMER) return;
    }
  },
};
