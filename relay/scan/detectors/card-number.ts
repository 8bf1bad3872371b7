import { isDigit } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';
import { nextGroup, nextStretch } from '../digit-stretches.ts';
import { primed } from '../primed.ts';

/**
 * Payment card numbers: 13 to 19 digits of a known issuer whose last one is the Luhn check digit (ISO/IEC 7812-1). Digits stand together or
 * in groups with one separator between them, the first of four or more. The first digits of the large schemes and their lengths.
 */
const SCHEMES: readonly {
  readonly from: number;
  readonly to: number;
  readonly digits: number;
  readonly lengths: readonly number[];
}[] = [
  { from: 4, to: 4, digits: 1, lengths: [13, 16, 19] },
  { from: 51, to: 55, digits: 2, lengths: [16] },
  { from: 2221, to: 2720, digits: 4, lengths: [16] },
  { from: 34, to: 34, digits: 2, lengths: [15] },
  { from: 37, to: 37, digits: 2, lengths: [15] },
  { from: 6011, to: 6011, digits: 4, lengths: [16, 19] },
  { from: 644, to: 659, digits: 3, lengths: [16, 19] },
  { from: 3528, to: 3589, digits: 4, lengths: [16, 19] },
  { from: 300, to: 305, digits: 3, lengths: [14, 16, 19] },
  { from: 36, to: 36, digits: 2, lengths: [14, 19] },
  { from: 38, to: 39, digits: 2, lengths: [14, 16, 19] },
  { from: 62, to: 62, digits: 2, lengths: [16, 17, 18, 19] },
];
const LONGEST = 19;
const SHORTEST = 13;
/**
 * As fast as it gets: written out, because a counted group costs ten times as much, and with the character before it instead of a look back,
 * which every character would pay for.
 */
const BEGINNING = `[2-6]\\d\\d\\d${'[ .\\-\\u00a0\\u2000-\\u200a\\u2010-\\u2015\\u202f]?\\d'.repeat(SHORTEST - 4)}`;
const LIKELY = primed(new RegExp(`\\D${BEGINNING}`));
const LIKELY_AT_ONCE = new RegExp(`^${BEGINNING}`);

export const cardNumber: Detector = {
  name: 'cardNumber',
  ofDigits: true,
  mayOccur: (text) => LIKELY_AT_ONCE.test(text) || LIKELY.test(text),
  find,
};

function find(text: string): Span[] {
  const found: Span[] = [];
  let stretch = nextStretch(text, 0, SHORTEST);
  while (stretch !== undefined) {
    // A card may stand beside other numbers, such as its date, so one is looked for from the start of each group.
    for (let at = stretch.start; at + SHORTEST <= stretch.end;) {
      const end = mayBegin(text, at) ? cardEnd(text, at, stretch.end) : undefined;
      if (end !== undefined) found.push({ start: at, end });
      at = nextGroup(text, end ?? at, stretch.end);
    }
    stretch = nextStretch(text, stretch.end, SHORTEST);
  }
  return found;
}

/** Schemes begin with 2 to 6 (most long numbers are times, and begin with 1), and with a group of four digits or more. */
function mayBegin(text: string, at: number): boolean {
  const first = text.charCodeAt(at);
  if (first < 0x32 || first > 0x36) return false;
  // What a program prints of a fraction is as long as a card, and one in ten has a check digit that holds.
  if (text.charCodeAt(at - 1) === 0x2e && isDigit(text.charCodeAt(at - 2))) return false;
  return isDigit(text.charCodeAt(at + 1)) && isDigit(text.charCodeAt(at + 2)) && isDigit(text.charCodeAt(at + 3));
}

/** The end of the longest card of whole groups that begins at `start`. A bounded number of steps. */
function cardEnd(text: string, start: number, limit: number): number | undefined {
  let found: number | undefined;
  let digits = 0;
  for (let at = start; at <= limit && digits <= LONGEST; at += 1) {
    if (at < limit && isDigit(text.charCodeAt(at))) digits += 1;
    else if (digits >= SHORTEST && isCard(text.slice(start, at).replaceAll(/\D/g, ''))) found = at;
  }
  return found;
}

function isCard(digits: string): boolean {
  if (!luhnHolds(digits)) return false;
  const beginning = Number(digits.slice(0, 4));
  return SCHEMES.some(
    ({ from, to, digits: length, lengths }) =>
      beginning >= from * 10 ** (4 - length) &&
      beginning < (to + 1) * 10 ** (4 - length) &&
      lengths.includes(digits.length),
  );
}

function luhnHolds(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 0x30;
    const doubled = at % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
