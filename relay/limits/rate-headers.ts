import type { RateDecision } from './budget.ts';
import type { RateSubject } from './rate-subject.ts';

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, structured fields). A bucket said in their words: the quota
 * is the burst, its window the time in which an empty bucket fills; what is available lasts until the next token comes.
 */
export function rateLimitHeaders(
  { policy, rate: { requestsPerMinute, burst } }: RateSubject,
  { remaining, nextInSeconds }: RateDecision,
): { readonly policy: string; readonly limit: string } {
  const window = Math.max(1, Math.ceil((burst * 60) / requestsPerMinute));
  return { policy: `"${policy}";q=${burst};w=${window}`, limit: `"${policy}";r=${remaining};t=${nextInSeconds}` };
}
