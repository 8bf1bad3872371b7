import type { AppKey } from '../directory/directory.ts';

/** The active key with this public part. During a rotation an app has several active keys, and each verifies. */
export function findKey(keys: readonly AppKey[], key: string): AppKey | undefined {
  return keys.find((candidate) => candidate.key === key);
}
