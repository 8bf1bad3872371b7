/** How long an event is tried to be told, from when it happened, in milliseconds. */
export const RETRY_WINDOW_MS = 300_000;

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

/**
 * The pause after the n-th failure in a row (n ≥ 1), in milliseconds: doubling from one second to one minute, of which a random half is
 * kept, so that what failed together does not come back together.
 * @param random in [0, 1)
 */
export function backoffMs(failures: number, random: () => number): number {
  const full = Math.min(MOST_MS, FIRST_MS * 2 ** (failures - 1));
  return full * (0.5 + random() / 2);
}
