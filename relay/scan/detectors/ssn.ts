import { isAlphanumeric, isDigit } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';
import { nextGroup, nextStretch } from '../digit-stretches.ts';
import { primed } from '../primed.ts';

/**
 * US Social Security numbers, `AAA-GG-SSSS` with hyphens or spaces, twice the same. Nine digits alone are far more often something else.
 * Never issued: area 000, 666 and 900–999, group 00, serial 0000 (SSA, "Social Security Number Randomization").
 */
const LENGTH = 11;
/** As fast as it gets: a class for each character, no groups, and of the area its last digit, so that a separator is asked for at once. */
const LIKELY = primed(
  /\d[ \-\u00a0\u2000-\u200a\u2010-\u2015\u202f]\d\d[ \-\u00a0\u2000-\u200a\u2010-\u2015\u202f]\d\d\d\d/,
);

export const ssn: Detector = {
  name: 'ssn',
  ofDigits: true,
  mayOccur: (text) => LIKELY.test(text),
  find,
};

function find(text: string): Span[] {
  const found: Span[] = [];
  let stretch = nextStretch(text, 0, LENGTH);
  while (stretch !== undefined) {
    const { end } = stretch;
    for (let at = stretch.start; at + LENGTH <= end; at = nextGroup(text, at, end)) {
      if (hasShape(text, at) && wasIssued(text, at)) found.push({ start: at, end: at + LENGTH });
    }
    stretch = nextStretch(text, stretch.end, LENGTH);
  }
  return found;
}

/** @param start of a group. */
function hasShape(text: string, start: number): boolean {
  const end = start + LENGTH;
  return (
    !isDigit(text.charCodeAt(start + 3)) &&
    !isDigit(text.charCodeAt(start + 6)) &&
    isDigit(text.charCodeAt(start + 1)) &&
    isDigit(text.charCodeAt(start + 2)) &&
    isDigit(text.charCodeAt(start + 5)) &&
    isDigit(text.charCodeAt(start + 8)) &&
    isDigit(text.charCodeAt(start + 9)) &&
    isDigit(text.charCodeAt(start + 10)) &&
    text.charAt(start + 3) === text.charAt(start + 6) &&
    !touches(text, start - 1) &&
    !touches(text, end)
  );
}

function wasIssued(text: string, start: number): boolean {
  const area = text.slice(start, start + 3);
  const group = text.slice(start + 4, start + 6);
  const serial = text.slice(start + 7, start + LENGTH);
  return area !== '000' && area !== '666' && area < '900' && group !== '00' && serial !== '0000';
}

/** Part of a longer number or name, such as an order number. */
function touches(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return isAlphanumeric(code) || code === 0x2d;
}
