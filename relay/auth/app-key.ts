import type { AppKey } from '../directory/directory.ts';

/**
 * The keys with this public part that verify now. During a rotation an app has several keys, and each verifies; they may differ in the secret
 * alone. One whose end has come verifies nowhere, whether or not the operator has taken it out yet.
 * @param now epoch milliseconds
 */
export function findKeys(keys: readonly AppKey[], key: string, now: number): readonly AppKey[] {
  const found: AppKey[] = [];
  for (const candidate of keys) if (candidate.key === key && isValid(candidate, now)) found.push(candidate);
  return found;
}

/** Whether there is such a key at all. */
export function hasKey(keys: readonly AppKey[], key: string, now: number): boolean {
  for (const candidate of keys) if (candidate.key === key && isValid(candidate, now)) return true;
  return false;
}

/**
 * The key to sign with where the other side may know several: the oldest, which is known the longest. Never one that was not handed out yet.
 * @param now epoch milliseconds
 */
export function oldestKey(keys: readonly AppKey[], now: number): AppKey | undefined {
  return keys.find((candidate) => !candidate.pending && isValid(candidate, now));
}

function isValid({ expiresAt }: AppKey, now: number): boolean {
  return expiresAt === null || now < expiresAt;
}
