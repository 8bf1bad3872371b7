import { isDigit } from './characters.ts';
import type { Span } from './detector.ts';

/**
 * The next stretch of digits, alone or in groups with one separator between two, that is at least `shortest` characters long; undefined:
 * there is none. Looks at two of every `shortest - 1` characters: such a stretch has no two neighbours that are both no digits.
 */
export function nextStretch(text: string, from: number, shortest: number): Span | undefined {
  const stride = shortest - 1;
  let begin = from;
  // A stretch that long has the character after its sample, too; reading past the end would make the loop slower for every text.
  const last = text.length - 1;
  for (let at = begin + stride - 1; at < last; at += stride) {
    if (!isDigit(text.charCodeAt(at)) && !isDigit(text.charCodeAt(at + 1))) continue;
    const digit = isDigit(text.charCodeAt(at)) ? at : at + 1;
    const start = stretchStart(text, digit, begin);
    const end = stretchEnd(text, digit);
    if (end - start >= shortest) return { start, end };
    begin = end;
    at = end - 1;
  }
  return undefined;
}

function stretchStart(text: string, from: number, least: number): number {
  let start = from;
  for (;;) {
    if (start > least && isDigit(text.charCodeAt(start - 1))) start -= 1;
    else if (start - 1 > least && separates(text, start - 1) && isDigit(text.charCodeAt(start - 2))) start -= 2;
    else return start;
  }
}

function stretchEnd(text: string, from: number): number {
  let end = from + 1;
  for (;;) {
    if (isDigit(text.charCodeAt(end))) end += 1;
    else if (separates(text, end) && isDigit(text.charCodeAt(end + 1))) end += 2;
    else return end;
  }
}

/** Where the next group of digits begins; `end` of the stretch, when this was the last one. */
export function nextGroup(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && isDigit(text.charCodeAt(at))) at += 1;
  return Math.min(at + 1, end);
}

/** Spaces and hyphens in all widths that word processors put between groups; a dot only between two groups of four, else it is a fraction. */
function separates(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code === 0x2e) return isGroupOfFour(text, at - 4) && isGroupOfFour(text, at + 1);
  if (code === 0x20 || code === 0x2d) return true;
  return code === 0xa0 || (code >= 0x2000 && code <= 0x200a) || (code >= 0x2010 && code <= 0x2015) || code === 0x202f;
}

function isGroupOfFour(text: string, start: number): boolean {
  for (let at = start; at < start + 4; at += 1) if (!isDigit(text.charCodeAt(at))) return false;
  return !isDigit(text.charCodeAt(start - 1)) && !isDigit(text.charCodeAt(start + 4));
}
