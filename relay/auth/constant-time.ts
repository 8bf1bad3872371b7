import { hash, timingSafeEqual } from 'node:crypto';

/** Compares without telling by time where two texts differ, nor how long the secret one is. */
export function equalInConstantTime(a: string, b: string): boolean {
  const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
  return timingSafeEqual(digest(a), digest(b));
}

/** The same for two hex digests of known length, without hashing them first. */
export function equalHexDigests(expected: string, presented: string): boolean {
  const sides = [Buffer.from(expected), Buffer.from(presented)] as const;
  return sides[0].length === sides[1].length && timingSafeEqual(...sides);
}
