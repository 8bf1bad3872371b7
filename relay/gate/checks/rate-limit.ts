import { check } from '../check.ts';

/** Before the quota: a storm of connects must not become a storm of claims. */
export const rateLimit = check({
  name: 'rate-limit',
  doors: ['http', 'websocket'],
  stage: 'counted',
  refuses: ['rate_limited'],
  refusal: ({ withinRate }) => (withinRate ? undefined : 'rate_limited'),
});
