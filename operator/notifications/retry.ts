const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** People fix mail servers within days; what is older than that is no news. */
const PATIENCE_MS = 3 * 86_400_000;

/**
 * When to try again after the `attempts`-th attempt failed: after a minute, doubling up to an hour; undefined: not any more. Epoch ms.
 * @param atLeastMs the other side asked for at least that pause
 */
export function nextAttempt(
  { attempts, announcedAt }: { readonly attempts: number; readonly announcedAt: number },
  now: number,
  atLeastMs = 0,
): number | undefined {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 10), LONGEST_PAUSE_MS);
  const next = now + Math.max(pause, Math.min(atLeastMs, LONGEST_PAUSE_MS));
  return next <= announcedAt + PATIENCE_MS ? next : undefined;
}
