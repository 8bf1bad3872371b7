import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cardNumber } from './card-number.ts';
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
