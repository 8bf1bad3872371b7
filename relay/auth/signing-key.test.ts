import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SigningKey } from './signing-key.ts';

test.each([
  ['1', '\u000b'.repeat(20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  ['2', 'Jefe', 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
])('the test vector %s of RFC 4231', (_, secret, text, digest) => {
  expect(new SigningKey(secret).sign(text)).toBe(digest);
});

test('whatever the secret and the text, and in whatever order, it says what createHmac says', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    // Around the block of the hash, and around where short texts end.
    fc.integer({ min: 50, max: 70 }).map((length) => 'k'.repeat(length)),
    fc.integer({ min: 505, max: 520 }).map((length) => 'x'.repeat(length)),
    fc.integer({ min: 505, max: 520 }).map((length) => '\u20ac'.repeat(length)),
  );
  fc.assert(
    fc.property(text, fc.array(fc.tuple(text, fc.boolean()), { minLength: 1, maxLength: 4 }), (secret, texts) => {
      const key = new SigningKey(secret);
      for (const [plain, asBytes] of texts) {
        const data = asBytes ? Buffer.from(plain) : plain;
        expect(key.sign(data)).toBe(createHmac('sha256', secret).update(data).digest('hex'));
      }
    }),
    { numRuns: 150 },
  );
});

test('it prints without its secret', () => {
  const key = new SigningKey('hunter2');
  key.sign('x');
  expect(inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)).not.toMatch(/hunter2|#/);
});
