import { isBase64Url, places, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Base64url of `{"`: how the header of a JSON Web Token in compact form begins (RFC 7519, 3; RFC 7515, 7.1). */
const ANCHOR = 'eyJ';
const isTokenCharacter = (code: number): boolean => isBase64Url(code) || code === 0x2e;

export const jwt: Detector = {
  name: 'jwt',
  // From its rarest letter.
  mayOccur: (text) => {
    for (const at of places(text, 'J')) if (text.startsWith(ANCHOR, at - 2)) return true;
    return false;
  },
  find: (text) => {
    const found: Span[] = [];
    let at = text.indexOf(ANCHOR);
    while (at >= 0) {
      // A run is looked at once, however many anchors it holds.
      const runOver = runEnd(text, at, isTokenCharacter);
      const start = startOfPart(text, at);
      const parts = text.slice(start, runOver).split('.', 3);
      const [header = '', payload = '', signature] = parts;
      if (signature !== undefined && payload !== '' && isHeader(header)) {
        found.push({ start, end: start + header.length + payload.length + signature.length + 2 });
      }
      at = text.indexOf(ANCHOR, runOver);
    }
    return found;
  },
};

/** The anchor must begin its part: `xeyJ…` is no header. Then nothing of this run counts. */
function startOfPart(text: string, anchor: number): number {
  return anchor > 0 && isBase64Url(text.charCodeAt(anchor - 1)) ? text.length : anchor;
}

function isHeader(header: string): boolean {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(header, 'base64url').toString());
    return typeof parsed === 'object' && parsed !== null && 'alg' in parsed;
  } catch {
    return false;
  }
}
