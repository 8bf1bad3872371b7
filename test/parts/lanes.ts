/**
 * Test files that run at the same time, on every machine. Two, because they wait more than they compute; not more, because each lane has a
 * control plane of its own, and because a file that expects an answer within seconds must not compete with many others.
 */
export const LANES = 2;

/** The lane of this process, from 1 on: files of one lane run one after the other. 0 outside of test files, as in a vitest globalSetup. */
export function currentLane(): number {
  return Number(process.env['VITEST_POOL_ID'] ?? 0);
}
