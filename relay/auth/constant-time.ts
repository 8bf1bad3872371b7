import { hash, timingSafeEqual } from 'node:crypto';

/** Compares without telling by time where two texts differ, nor how long the secret one is. */
export function equalInConstantTime(a: string, b: string): boolean {
  const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
  return timingSafeEqual(digest(a), digest(b));
}

/** The same for two hex digests of known length, without hashing them first. */
export function equalHexDigests(expected: string, presented: string): boolean {
  if (expected.length !== presented.length) return false;
  return timingSafeEqual(Buffer.from(expected, 'latin1'), Buffer.from(presented, 'latin1'));
}
