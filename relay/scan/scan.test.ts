import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DETECTORS, type DetectorName, type ScanRules } from '#crds/secret-scanning.ts';
import { corpus } from './corpus.ts';
import { scan } from './scan.ts';

type Mode = NonNullable<ScanRules[DetectorName]>;
const all = (mode: Mode): ScanRules => Object.fromEntries(DETECTORS.map((name) => [name, mode]));
const only = (detector: DetectorName, mode: Mode): ScanRules => ({ [detector]: mode });
const redacted = (text: string): string => {
  const result = scan(text, all('Redact'));
  return result.verdict === 'found' ? result.text : text;
};

describe('the corpus', () => {
  test.each(corpus.filter(({ secret }) => secret !== undefined))(
    '$detector is found: $name',
    ({ detector, text, secret = '' }) => {
      const result = scan(text, only(detector, 'Redact'));
      expect(result).toMatchObject({ verdict: 'found', findings: [{ detector }] });
      expect(result.verdict === 'found' && result.text).toBe(text.split(secret).join('[REDACTED]'));
    },
  );
  test.each(corpus.filter(({ secret }) => secret === undefined))(
    '$detector is not found: $name',
    ({ detector, text }) => {
      expect(scan(text, only(detector, 'Redact'))).toEqual({ verdict: 'clean' });
    },
  );
  test('precision and recall', () => {
    for (const detector of DETECTORS) {
      const of = corpus.filter((line) => line.detector === detector);
      const flagged = of.filter(({ text }) => scan(text, only(detector, 'Warn')).verdict === 'found');
      const right = flagged.filter(({ secret }) => secret !== undefined).length;
      const wanted = of.filter(({ secret }) => secret !== undefined).length;
      console.log(
        `${detector}: precision ${right}/${flagged.length}, recall ${right}/${wanted}, ${of.length - wanted} look-alikes`,
      );
      expect([wanted, of.length - wanted].every((count) => count >= 8)).toBe(true);
    }
  });
});

const mail = 'ada@example.com';
const jwtHeader = Buffer.from('{"alg":"none"}').toString('base64url');
describe('only the match is replaced', () => {
  test.each([
    ['plain text', `to ${mail}.`, 'to [REDACTED].'],
    [
      'JSON keeps its spaces and numbers',
      `{ "n": 1.0, "big": 12345678901234567890,  "m" :"${mail}" }`,
      '{ "n": 1.0, "big": 12345678901234567890,  "m" :"[REDACTED]" }',
    ],
    ['an escape before it', `{"m":"\\n\\u00e4 ${mail}"}`, '{"m":"\\n\\u00e4 [REDACTED]"}'],
    ['an anchor that is written as an escape', '{"m":"ada\\u0040example.com"}', '{"m":"[REDACTED]"}'],
    ['a letter that is written as an escape', '{"m":"\\u0061da@example.com!"}', '{"m":"[REDACTED]!"}'],
    ['a key', `{"${mail}":1}`, '{"[REDACTED]":1}'],
    ['a string', `"${mail}"`, '"[REDACTED]"'],
    ['a number', '{"card":4111111111111111,"n":[4111111111111111]}', '{"card":"[REDACTED]","n":["[REDACTED]"]}'],
    ['a string that is a number', '{"card":"4111111111111111"}', '{"card":"[REDACTED]"}'],
    [
      'a number after much space',
      `${' '.repeat(70)}{"card":4111111111111111}`,
      `${' '.repeat(70)}{"card":"[REDACTED]"}`,
    ],
    ['a tab that is written as an escape', '"Bearer\\tabcdef0123456789abcdef"', '"Bearer\\t[REDACTED]"'],
    [
      'JSON in a string',
      JSON.stringify({ a: JSON.stringify({ m: mail }) }),
      JSON.stringify({ a: JSON.stringify({ m: '[REDACTED]' }) }),
    ],
    [
      'a number in JSON in a string',
      JSON.stringify({ a: '{"c":4111111111111111}' }),
      JSON.stringify({ a: '{"c":"[REDACTED]"}' }),
    ],
    [
      'three deep',
      JSON.stringify([JSON.stringify([JSON.stringify({ c: 4111111111111111 })])]),
      JSON.stringify([JSON.stringify([JSON.stringify({ c: '[REDACTED]' })])]),
    ],
    ['not quite JSON', `{"m":"${mail}"`, '{"m":"[REDACTED]"'],
    ['twice', `{"a":"${mail} and ${mail}"}`, '{"a":"[REDACTED] and [REDACTED]"}'],
  ])('%s', (_, text, expected) => expect(redacted(text)).toBe(expected));

  test('whatever JSON it stands in, at any depth, the value is what a person would have written', () => {
    const secretOr = fc.oneof(
      fc
        .string({ unit: 'grapheme' })
        .filter((text) => redacted(JSON.stringify(text)) === JSON.stringify(text) && !/[@\d]/.test(text)),
      fc.constant(mail),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        secretOr,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'ä"\\'), tie('value'), { maxKeys: 3 }),
        tie('value').map((inner) => ({ nested: JSON.stringify(inner) })),
      ),
    }));
    const expected = (node: unknown): unknown => {
      if (node === mail) return '[REDACTED]';
      if (Array.isArray(node)) return node.map(expected);
      if (typeof node !== 'object' || node === null) return node;
      return Object.fromEntries(
        Object.entries(node).map(([key, child]) => [
          key,
          key === 'nested' ? JSON.stringify(expected(JSON.parse(String(child)))) : expected(child),
        ]),
      );
    };
    fc.assert(
      fc.property(value, (node) => {
        expect(JSON.parse(redacted(JSON.stringify(node)))).toEqual(expected(node));
      }),
    );
  });

  test('any text: what is left is clean, and JSON stays JSON', () => {
    const word = fc.constantFrom(
      mail,
      '4111111111111111',
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      ' ',
      '\\u0040',
      'x',
      '1',
      '-',
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 20 }).map((words) => words.join('')),
        (text) => {
          const once = redacted(text);
          expect(redacted(once)).toBe(once);
          let valid = true;
          try {
            JSON.parse(text);
          } catch {
            valid = false;
          }
          if (valid) expect(() => void JSON.parse(once)).not.toThrow();
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('what is told', () => {
  test('detector and place, through JSON in strings, never the match', () => {
    const text = JSON.stringify({
      user: { mails: ['x', mail] },
      raw: JSON.stringify({ deep: mail }),
      [mail]: { k: mail },
    });
    const result = scan(text, only('email', 'Reject'));
    const findings = [{ detector: 'email', mode: 'Reject', place: '/user/mails/1', count: 4 }];
    expect(result).toEqual({ verdict: 'rejected', findings });
  });
  test.each([
    [{ raw: JSON.stringify({ deep: mail }) }, '/raw/deep'],
    [{ [mail]: 1 }, ''],
    [{ [mail]: { k: mail } }, ''],
    [{ 'a/b': { k: mail } }, '/*/k'],
    [[[mail]], '/0/0'],
  ])('%j: at %s', (value, place) => {
    const result = scan(JSON.stringify(value), only('email', 'Warn'));
    expect(result).toMatchObject({ findings: [{ place }] });
  });
  test('Warn changes nothing', () => {
    expect(scan(mail, only('email', 'Warn'))).toMatchObject({ verdict: 'found', text: mail });
  });
  test('one Reject rejects, whatever else is redacted', () => {
    const text = `${mail} 4111-1111-1111-1111`;
    expect(scan(text, { ...all('Redact'), cardNumber: 'Reject' }).verdict).toBe('rejected');
  });
  test('Off is not looked for', () => expect(scan(mail, {})).toEqual({ verdict: 'clean' }));
});

describe('linear: ten times the text is not a hundred times the steps', () => {
  // Counted in work and not in time: each of these made a careless detector look at everything again from every anchor.
  const hostile: readonly (readonly [string, (length: number) => string])[] = [
    ['anchors of JWTs', (n) => 'eyJ'.repeat(n / 3)],
    ['at signs', (n) => 'a@'.repeat(n / 2)],
    ['one long word', (n) => 'a'.repeat(n)],
    ['beginnings of keys', (n) => '-----BEGIN PRIVATE KEY-----'.repeat(n / 27)],
    ['bearers', (n) => 'bearer '.repeat(n / 7)],
    ['digits', (n) => '4'.repeat(n)],
    ['groups of digits', (n) => '4 '.repeat(n / 2)],
    ['groups with dots', (n) => '4111.'.repeat(n / 5)],
    ['cards side by side', (n) => '4111 1111 1111 1111 '.repeat(n / 20)],
    ['parts of JWTs', (n) => `${jwtHeader}.a.`.repeat(n / 23)],
    ['versions of hosts', (n) => 'a@b.1.2.'.repeat(n / 8)],
    ['spaces', (n) => `${' '.repeat(n - 8)}"a@b.cc"`],
    ['strings of spaces', (n) => JSON.stringify(Array.from({ length: n / 64 }, () => ' '.repeat(60)))],
    ['underscores', (n) => 'ghp_'.repeat(n / 4)],
    ['depth', (n) => `${'['.repeat(n / 4)}${'"a@b.cc",'.repeat(n / 32)}1${']'.repeat(n / 4)}`],
    ['backslashes', (n) => `"${'\\\\'.repeat(n / 2)}@"`],
    ['escaped strings full of matches', (n) => JSON.stringify(`"${'a@b.cc '.repeat(n / 7)}`)],
    ['nested JSON', (n) => JSON.stringify(JSON.stringify(JSON.stringify(['a@b.cc'.padStart(n / 8)])))],
  ];
  test.each(hostile)('%s', (_, make) => {
    const text = make(1_048_576);
    // A megabyte: what is quadratic would not come back within the test's time limit.
    expect(['clean', 'found']).toContain(scan(text, all('Redact')).verdict);
  });
});
