import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cardNumber } from './card-number.ts';
import { mayHaveStretch } from '../digit-stretches.ts';
import { ssn } from './ssn.ts';

// Both ask with an expression that is written for speed. Here is what it is to say, written to be read.

const SEPARATOR = '[ \\-\\u00a0\\u2000-\\u200a\\u2010-\\u2015\\u202f]';
const plain = {
  cardNumber: new RegExp(`(?<!\\d)[2-6]\\d{3}(?:(?:${SEPARATOR}|\\.)?\\d){9}`),
  ssn: new RegExp(`\\d${SEPARATOR}\\d{2}${SEPARATOR}\\d{4}`),
};

const digits = fc.stringMatching(/^[0-9]{1,6}$/);
const word = fc.oneof(
  { arbitrary: digits, weight: 6 },
  { arbitrary: fc.constantFrom(' ', '-', '.', '\u00a0', '\u2000', '\u200a', '\u2010', '\u2015', '\u202f'), weight: 6 },
  fc.constantFrom('4111', '4111 1111 1111 1111', '3782-822463-10005', '219-09-9999', '219 09 9999', '2', '6'),
  fc.constantFrom('"', '\\', '\n', 'x', 'T', ':', ',', '\u2016', 'é'),
);
const texts = fc.array(word, { maxLength: 24 }).map((words) => words.join(''));

describe.each([cardNumber, ssn])('$name', ({ name, mayOccur, find }) => {
  test('says what the plain expression says', () => {
    const reference = name === 'ssn' ? plain.ssn : plain.cardNumber;
    fc.assert(
      fc.property(texts, (text) => {
        expect(mayOccur(text)).toBe(reference.test(text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('may occur wherever it is found, as it stands and as a string in JSON', () => {
    let found = 0;
    fc.assert(
      fc.property(texts, (text) => {
        if (find(text).length === 0) return;
        found += 1;
        expect(mayOccur(text)).toBe(true);
        expect(mayOccur(JSON.stringify({ text }))).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(found).toBeGreaterThan(100);
  });
});

describe('a text without long stretches of digits', () => {
  // Shorter ones are not looked at.
  const padding = fc.integer({ min: 256, max: 300 }).map((length) => 'numbers: '.repeat(40).slice(0, length));

  test('is told from every text in which something is found, wherever it stands', () => {
    let found = 0;
    fc.assert(
      fc.property(padding, texts, padding, (before, text, after) => {
        const whole = `${before}"${text}"${after}`;
        if (cardNumber.find(whole).length === 0 && ssn.find(whole).length === 0) return;
        found += 1;
        expect(mayHaveStretch(whole)).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test.each([
    ['coordinates', '[51.507351,-0.127758,1763841600],'],
    ['times', '"2026-11-26T10:11:12.123Z",'],
    ['prose', 'On the 26th, at 10:11, 12 of 345 had gone. '],
    ['another script', '二〇二六年十一月二十六日、'],
  ])('%s: there is none', (_, text) => expect(mayHaveStretch(text.repeat(100))).toBe(false));

  test('one at the very beginning, and at the very end', () => {
    const letters = 'x'.repeat(300);
    expect(mayHaveStretch(`219-09-9999${letters}`)).toBe(true);
    expect(mayHaveStretch(`${letters}219-09-9999`)).toBe(true);
    expect(mayHaveStretch(letters)).toBe(false);
  });

  test('a very long text is not copied', () => {
    expect(mayHaveStretch('x'.repeat(65_536))).toBe(false);
    expect(mayHaveStretch(`${'x'.repeat(65_536)}219-09-9999`)).toBe(true);
  });
});
