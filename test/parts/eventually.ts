import { setTimeout as delay } from 'node:timers/promises';

export type EventuallyOptions = {
  /** How long to keep trying, in milliseconds. Default 10 000. */
  readonly timeout?: number;
  /** Pause between two attempts, in milliseconds. Default 25. */
  readonly interval?: number;
  /** What is being waited for, for the error message. */
  readonly describe?: string;
};

/**
 * Calls `attempt` until it neither throws nor returns false, null or undefined, and resolves to what it returned (0 and '' are values).
 * After `timeout` it rejects with an error whose `cause` is what the last attempt threw. An attempt that hangs counts
 * as failed when the time is up.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeout = 10_000, interval = 25, describe = 'the condition' }: EventuallyOptions = {},
): Promise<Exclude<Awaited<T>, false | null | undefined>> {
  const deadline = performance.now() + timeout;
  let last: unknown;
  for (;;) {
    const timer = new AbortController();
    try {
      const remaining = Math.max(deadline - performance.now(), 1);
      const value = await Promise.race([
        attempt(),
        delay(remaining, undefined, { signal: timer.signal }).then(() => {
          throw new Error('the attempt was still running when the time was up');
        }),
      ]);
      if (isPresent(value)) return value;
      last = new Error(`the last attempt returned ${String(value)}`);
    } catch (error) {
      last = error;
    } finally {
      timer.abort();
    }
    if (performance.now() + interval >= deadline) {
      const reason = last instanceof Error ? last.message : String(last);
      throw new Error(`${describe} did not come true within ${timeout} ms: ${reason}`, { cause: last });
    }
    await delay(interval);
  }
}

function isPresent<T>(value: T): value is Exclude<T, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
