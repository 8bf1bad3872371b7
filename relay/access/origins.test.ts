import fc from 'fast-check';
import { expect, test } from 'vitest';
import { originOf, Origins } from './origins.ts';

const allows = (patterns: readonly string[], header: string): boolean =>
  new Origins(patterns).has(originOf(header) ?? 'none');

test.each([
  ['https://example.com', 'https://example.com', true],
  ['https://example.com', 'HTTPS://Example.COM', true],
  ['HTTPS://Example.com:443', 'https://example.com', true],
  ['https://example.com', 'https://example.com:443', true],
  ['http://example.com:80', 'http://example.com', true],
  ['https://example.com', 'https://example.com:8443', false],
  ['https://example.com:8443', 'https://example.com:08443', true],
  ['https://example.com', 'http://example.com', false],
  ['https://example.com', 'https://www.example.com', false],
  ['https://example.com', 'https://example.com.evil.net', false],
  ['https://example.com', 'https://example.com.', false],
  ['https://example.com', 'https://example.com/', false],
  ['https://example.com', 'https://user@example.com', false],
  ['https://example.com', ' https://example.com', false],
  ['https://example.com', 'https://example.com, https://example.com', false],
  ['https://example.com', 'https://еxample.com', false],
  ['https://*.example.com', 'https://shop.example.com', true],
  ['https://*.example.com', 'https://a.b.example.com', true],
  ['https://*.example.com', 'https://SHOP.example.com:443', true],
  // The Kelvin sign, whose lower case is the k of ASCII.
  ['https://*.example.com', 'https://boo\u212a.example.com', false],
  ['https://*.example.com', 'https://example.com', false],
  ['https://*.example.com', 'https://.example.com', false],
  ['https://*.example.com', 'https://evilexample.com', false],
  ['https://*.example.com', 'https://evil.net/.example.com', false],
  ['https://*.example.com', 'https://evil.net#.example.com', false],
  ['https://*.example.com', 'https://evil.net\n.example.com', false],
  ['https://*.example.com', 'https://*.example.com', false],
  ['https://*.example.com', 'http://shop.example.com', false],
  ['https://*.example.com', 'https://shop.example.com:8443', false],
  ['https://*.example.com:8443', 'https://shop.example.com:8443', true],
  ['http://[::1]:3000', 'http://[::1]:3000', true],
  ['capacitor://localhost', 'capacitor://localhost', true],
  ['https://example.com', 'null', false],
  ['null', 'null', true],
  ['null', 'NULL', false],
  ['null', '', false],
])('%s, %j: %s', (pattern, header, expected) => expect(allows([pattern], header)).toBe(expected));

test('no header is no origin, and one that cannot be read is on no list', () => {
  expect(originOf(undefined)).toBeUndefined();
  expect(allows([''], '')).toBe(false);
  expect(allows(['https://*.example.com'], `https://${'a'.repeat(300)}.example.com`)).toBe(false);
});

test('a wildcard lets in only hosts below its domain, whatever the header', () => {
  const origins = new Origins(['https://*.example.com']);
  const piece = fc.constantFrom(
    'https://',
    'example.com',
    '.',
    'evil',
    '/',
    '@',
    ':443',
    '%2e',
    '\\',
    ' ',
    'null',
    'xn--',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const header = pieces.join('');
      const letIn = origins.has(originOf(header) ?? 'none');
      // The judge that browsers use.
      const url = URL.canParse(header) ? new URL(header) : undefined;
      if (letIn) expect([url?.protocol, url?.hostname.endsWith('.example.com')]).toEqual(['https:', true]);
    }),
    { numRuns: 5_000 },
  );
});
