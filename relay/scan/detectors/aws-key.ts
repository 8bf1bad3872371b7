import { isAlphanumeric, isDigit, isUpper, places, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Access key ids of users, roles, bearers and context: four letters, then 16 of base32 (IAM User Guide, "IAM identifiers"). */
const PREFIXES = ['AKIA', 'ASIA', 'ABIA', 'ACCA'];
const LENGTH = 20;
const isBase32 = (code: number): boolean => isUpper(code) || (isDigit(code) && code >= 0x32 && code <= 0x37);

export const awsKey: Detector = {
  name: 'awsKey',
  mayOccur: (text) => PREFIXES.some((prefix) => text.includes(prefix)),
  find: (text) => {
    const found: Span[] = [];
    for (const prefix of PREFIXES) {
      for (const start of places(text, prefix)) {
        if (start > 0 && isAlphanumeric(text.charCodeAt(start - 1))) continue;
        const end = start + LENGTH;
        if (runEnd(text, start, isBase32, end) !== end || isAlphanumeric(text.charCodeAt(end))) continue;
        found.push({ start, end });
      }
    }
    return found.toSorted((a, b) => a.start - b.start);
  },
};
