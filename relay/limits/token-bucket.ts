/** Tokens left, and when they were counted (milliseconds, monotonic). */
export type Bucket = { readonly tokens: number; readonly at: number };

export type BucketRate = { readonly perSecond: number; readonly burst: number };

/** Takes one token. A bucket never used starts full: pass undefined. */
export function takeToken(
  bucket: Bucket | undefined,
  rate: BucketRate,
  now: number,
): { readonly bucket: Bucket; readonly taken: boolean } {
  const since = bucket === undefined ? 0 : Math.max(0, now - bucket.at);
  const tokens = Math.min(rate.burst, (bucket?.tokens ?? rate.burst) + (since * rate.perSecond) / 1000);
  if (tokens < 1) return { bucket: { tokens, at: now }, taken: false };
  return { bucket: { tokens: tokens - 1, at: now }, taken: true };
}
