import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CERTIFICATE_HEADERS } from './certificate-headers.ts';
import { hasDuplicatedSecurityHeader } from './security-headers.ts';

const SECURITY = ['authorization', 'x-relay-key', 'x-relay-secret', 'x-relay-proxy-secret', ...CERTIFICATE_HEADERS];
const OTHERS = [
  'host',
  'cookie',
  'x-forwarded-for',
  'accept-encoding',
  'cache-control',
  'content-length',
  'x-client-key',
];

const raw = (names: readonly string[]): string[] => names.flatMap((name) => [name, 'authorization']);
const spelt = (name: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(name, fc.boolean()).map(([text, upper]) => (upper ? text.toUpperCase() : text));

test('any one of them that stands twice is noticed, however it is spelt and whatever stands between', () => {
  const one = fc.constantFrom(...SECURITY);
  const others = fc.array(spelt(fc.constantFrom(...OTHERS)), { maxLength: 4 });
  fc.assert(
    fc.property(one, fc.boolean(), others, others, (name, upper, before, between) => {
      const again = upper ? name.toUpperCase() : name;
      expect(hasDuplicatedSecurityHeader(raw([...before, name, ...between, again]))).toBe(true);
    }),
  );
});

test('each of them once, beside others as often as they like, is fine', () => {
  const names = fc.tuple(fc.shuffledSubarray(SECURITY), fc.array(fc.constantFrom(...OTHERS), { maxLength: 6 }));
  fc.assert(
    fc.property(names, ([security, others]) => {
      expect(hasDuplicatedSecurityHeader(raw([...security, ...others, '']))).toBe(false);
    }),
  );
});
