import { hasBeforeUnderscore, isAlphanumeric, places, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Secret and restricted keys, and signing secrets of webhooks (Stripe docs, "API keys"). Publishable keys (`pk_`) are meant to be seen. */
const PREFIXES = ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'whsec_'];
const SHORTEST = 16;

export const stripeKey: Detector = {
  name: 'stripeKey',
  mayOccur: (text) => hasBeforeUnderscore(text, 'k') || text.includes('whsec_'),
  find: (text) => {
    const found: Span[] = [];
    for (const prefix of PREFIXES) {
      for (const start of places(text, prefix)) {
        if (start > 0 && isAlphanumeric(text.charCodeAt(start - 1))) continue;
        const from = start + prefix.length;
        const end = runEnd(text, from, isAlphanumeric);
        if (end - from >= SHORTEST) found.push({ start, end });
      }
    }
    return found.toSorted((a, b) => a.start - b.start);
  },
};
