import { parseToken } from '#crds/token-format.ts';
import { hasBeforeUnderscore, isAlphanumeric, places, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Our own bearer tokens; their checksum tells a real one from a look-alike (crds/token-format.ts). */
const PREFIX = 'rly_';
const LENGTH = 57;

export const relayToken: Detector = {
  name: 'relayToken',
  mayOccur: (text) => hasBeforeUnderscore(text, 'rly'),
  find: (text) => {
    const found: Span[] = [];
    for (const start of places(text, PREFIX)) {
      if (start > 0 && isAlphanumeric(text.charCodeAt(start - 1))) continue;
      const end = start + LENGTH;
      const whole = runEnd(text, start, (code) => isAlphanumeric(code) || code === 0x5f, end + 1) === end;
      if (whole && parseToken(text.slice(start, end)) !== undefined) found.push({ start, end });
    }
    return found;
  },
};
