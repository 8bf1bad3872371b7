import { isAlphanumeric, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** A token after the word Bearer, as in an Authorization header (RFC 6750, 2.1: `b64token`). Shorter ones are words of a sentence. */
const SHORTEST = 16;
const WORD = /bearer[ \t]{1,64}/gi;
// A tab may be written as an escape.
const ANCHOR = /bearer[ \t\\]/i;
const isToken = (code: number): boolean => isAlphanumeric(code) || '-._~+/='.includes(String.fromCharCode(code));

export const bearerToken: Detector = {
  name: 'bearerToken',
  mayOccur: (text) => ANCHOR.test(text),
  find: (text) => {
    const found: Span[] = [];
    for (const word of text.matchAll(WORD)) {
      const start = word.index + word[0].length;
      if (word.index > 0 && isAlphanumeric(text.charCodeAt(word.index - 1))) continue;
      const end = runEnd(text, start, isToken);
      const token = text.slice(start, end);
      // A long word is no token: one has a digit, or upper and lower case.
      if (token.length >= SHORTEST && /\d|[a-z][A-Z]|[A-Z][a-z].*[A-Z]/.test(token.slice(0, 512)))
        found.push({ start, end });
    }
    return found;
  },
};
