import { isDigit, runEnd } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/**
 * Payment card numbers: 13 to 19 digits of a known issuer whose last one is the Luhn check digit (ISO/IEC 7812-1). Digits stand together or
 * in groups with one space or hyphen between them, the first of four or more. The first digits of the large schemes and their lengths.
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

export const cardNumber: Detector = {
  name: 'cardNumber',
  mayOccur: (text) => find(text, 1).length > 0,
  find: (text) => find(text, Number.POSITIVE_INFINITY),
};

/**
 * Where one may begin: schemes begin with 2 to 6 (most long numbers are times, and begin with 1), the first group has four digits or more.
 * A bounded stretch, so a bounded number of steps.
 */
const BEGINNING = /(?<!\d)[2-6]\d\d\d(?:[ -]?\d){9}/g;

function find(text: string, most: number): Span[] {
  const found: Span[] = [];
  BEGINNING.lastIndex = 0;
  for (let match = BEGINNING.exec(text); match !== null && found.length < most; match = BEGINNING.exec(text)) {
    const groups = groupsFrom(text, match.index);
    for (const card of cardsIn(text, groups)) found.push(card);
    BEGINNING.lastIndex = groups.at(-1)?.end ?? match.index + 1;
  }
  return found;
}

/** Groups of digits with one space or hyphen between two of them, from `start` on. */
function groupsFrom(text: string, start: number): Span[] {
  const groups: Span[] = [];
  let from = start;
  for (;;) {
    const end = runEnd(text, from, isDigit);
    if (end > from) groups.push({ start: from, end });
    const separator = text.charCodeAt(end);
    if (end === from || (separator !== 0x20 && separator !== 0x2d)) return groups;
    from = end + 1;
  }
}

/** A card may stand beside other numbers, such as its date: every stretch of whole groups that is long enough is tried, the longest first. */
function cardsIn(text: string, groups: readonly Span[]): Span[] {
  const found: Span[] = [];
  for (let first = 0; first < groups.length; first += 1) {
    let digits = '';
    let card: { readonly span: Span; readonly last: number } | undefined;
    const start = groups[first]?.start ?? 0;
    for (let last = first; last < groups.length; last += 1) {
      const group = groups[last];
      if (group === undefined || digits.length + group.end - group.start > LONGEST) break;
      digits += text.slice(group.start, group.end);
      if (digits.length >= SHORTEST && isCard(digits)) card = { span: { start, end: group.end }, last };
    }
    if (card === undefined) continue;
    found.push(card.span);
    first = card.last;
  }
  return found;
}

function isCard(digits: string): boolean {
  const beginning = Number(digits.slice(0, 4));
  const scheme = SCHEMES.some(
    ({ from, to, digits: length, lengths }) =>
      beginning >= from * 10 ** (4 - length) &&
      beginning < (to + 1) * 10 ** (4 - length) &&
      lengths.includes(digits.length),
  );
  return scheme && luhnHolds(digits);
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
