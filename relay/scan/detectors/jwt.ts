import { parseJson } from '#crds/json-text.ts';
import { isBase64Url, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Base64url of `{"`: how the header of a JSON Web Token in compact form begins (RFC 7519, 3; RFC 7515, 7.1). */
const ANCHOR = 'eyJ';
const isTokenCharacter = (code: number): boolean => isBase64Url(code) || code === 0x2e;

export const jwt: Detector = {
  name: 'jwt',
  // From its rarest letter.
  mayOccur: (text) => {
    for (let at = text.indexOf('J', 2); at >= 0; at = text.indexOf('J', at + 1)) {
      if (text.charCodeAt(at - 1) === 0x79 && text.charCodeAt(at - 2) === 0x65) return true;
    }
    return false;
  },
  find: (text) => {
    const found: Span[] = [];
    let at = text.indexOf(ANCHOR);
    while (at >= 0) {
      // A run is looked at once, however many anchors it holds.
      const runOver = runEnd(text, at, isTokenCharacter);
      for (const span of tokensIn(text.slice(at, runOver))) found.push({ start: at + span.start, end: at + span.end });
      at = text.indexOf(ANCHOR, runOver);
    }
    return found;
  },
};

/** @param run characters of tokens only, from an anchor on. */
function tokensIn(run: string): Span[] {
  const found: Span[] = [];
  const parts = run.split('.');
  let start = 0;
  for (let at = 0; at < parts.length;) {
    const header = headerIn(parts[at] ?? '');
    const length = header === undefined ? 1 : Math.min(header.parts, parts.length - at);
    const end = start + parts.slice(at, at + length).join('.').length;
    if (header !== undefined && length >= 3 && parts[at + 1] !== '') found.push({ start: start + header.start, end });
    start = end + 1;
    at += length;
  }
  return found;
}

/**
 * Where in a part a header begins, and how many parts its token has: five if it is encrypted (RFC 7516, 7.1). Something may be glued to
 * it, so the last anchor is tried as well as the first; not all of them, for there may be thousands.
 */
function headerIn(part: string): { readonly start: number; readonly parts: 3 | 5 } | undefined {
  for (const start of new Set([part.indexOf(ANCHOR), part.lastIndexOf(ANCHOR)])) {
    if (start < 0) continue;
    const header = parseJson(Buffer.from(part.slice(start), 'base64url').toString());
    if (typeof header === 'object' && header !== null && 'alg' in header)
      return { start, parts: 'enc' in header ? 5 : 3 };
  }
  return undefined;
}
