import { crc32 } from 'node:zlib';
import { isAlphanumeric, places, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/**
 * `gh[pousr]_`, 30 random characters and 6 of checksum: CRC-32 of the random part in base62, padded with 0 (GitHub Engineering, "Behind
 * GitHub's new authentication token formats"). Fine-grained tokens, `github_pat_`, are known by their shape: 22, `_`, 59 characters.
 */
const KINDS = 'pousr';
const RANDOM = 30;
const CHECKSUM = 6;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FINE_GRAINED = 'github_pat_';

export const githubToken: Detector = {
  name: 'githubToken',
  mayOccur: (text) => {
    for (let at = text.indexOf('_', 3); at >= 0; at = text.indexOf('_', at + 1)) {
      const third = text.charCodeAt(at - 3);
      // Of `gh?_` and `pat_`.
      if ((third === 0x67 && text.startsWith('gh', at - 3)) || (third === 0x70 && text.startsWith('pat', at - 3)))
        return true;
    }
    return false;
  },
  find: (text) => {
    const found: Span[] = [];
    for (const underscore of places(text, '_')) {
      const span = classic(text, underscore) ?? fineGrained(text, underscore);
      if (span !== undefined) found.push(span);
    }
    return found;
  },
};

function classic(text: string, underscore: number): Span | undefined {
  const start = underscore - 3;
  if (start < 0 || !text.startsWith('gh', start) || !KINDS.includes(text.charAt(start + 2))) return undefined;
  if (start > 0 && isAlphanumeric(text.charCodeAt(start - 1))) return undefined;
  const random = underscore + 1;
  const end = random + RANDOM + CHECKSUM;
  if (runEnd(text, random, isAlphanumeric, end + 1) !== end) return undefined;
  const expected = base62(crc32(text.slice(random, random + RANDOM)));
  return text.slice(end - CHECKSUM, end) === expected ? { start, end } : undefined;
}

/** At its second underscore, the one after `pat`. */
function fineGrained(text: string, underscore: number): Span | undefined {
  const start = underscore - FINE_GRAINED.length + 1;
  if (start < 0 || !text.startsWith(FINE_GRAINED, start)) return undefined;
  const middle = underscore + 1 + 22;
  const end = middle + 1 + 59;
  const holds =
    runEnd(text, underscore + 1, isAlphanumeric, middle + 1) === middle &&
    text.charAt(middle) === '_' &&
    runEnd(text, middle + 1, isAlphanumeric, end + 1) === end;
  return holds ? { start, end } : undefined;
}

function base62(value: number): string {
  let text = '';
  for (let left = value; text.length < CHECKSUM; left = Math.floor(left / 62)) text = ALPHABET.charAt(left % 62) + text;
  return text;
}
