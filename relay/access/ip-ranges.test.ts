import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { parseIpAddress, parseIpRange, type IpAddress, type IpRange } from './ip-address.ts';
import { IpRanges } from './ip-ranges.ts';

const allows = (ranges: readonly string[], address: string): boolean => {
  const parsed = ranges.map(parseIpRange);
  const wanted = parseIpAddress(address);
  if (parsed.includes(undefined) || wanted === undefined) throw new Error('not an address');
  return new IpRanges(parsed.filter((range) => range !== undefined)).has(wanted);
};

test.each([
  [['203.0.113.0/24'], '203.0.113.255', true],
  [['203.0.113.0/24'], '203.0.114.0', false],
  [['203.0.113.9/24'], '203.0.113.1', true],
  [['198.51.100.7'], '198.51.100.7', true],
  [['198.51.100.7'], '::ffff:198.51.100.7', true],
  [['::ffff:198.51.100.0/120'], '198.51.100.7', true],
  [['198.51.100.7'], '::ffff:c633:6407', true],
  [['198.51.100.7'], '198.51.100.8', false],
  [['2001:db8::/32'], '2001:db8:ffff::1', true],
  [['2001:db8::/32'], '2001:db9::', false],
  [['2001:DB8:0:0:0:0:0:1'], '2001:db8::1', true],
  [['0.0.0.0/0'], '8.8.8.8', true],
  [['0.0.0.0/0'], '2001:db8::1', false],
  [['::/0'], '8.8.8.8', true],
  [['10.0.0.0/8', '10.1.0.0/16'], '10.2.0.0', true],
  [['10.1.0.0/16', '10.0.0.0/8'], '10.2.0.0', true],
  [[], '10.0.0.1', false],
])('%j, %s: %s', (ranges, address, expected) => expect(allows(ranges, address)).toBe(expected));

test.each([
  '127.1',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '2130706433',
  '1.2.3.4.5',
  '256.0.0.1',
  'fe80::1%eth0',
  '::1::',
  '',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '[::1]',
  '1.2.3.4:80',
  'localhost',
  '01.2.3.4',
])('no address: %j', (text) => expect(parseIpAddress(text)).toBeUndefined());
test.each(['1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/', '1.2.3.4/8/8', '::/129', '/8', '1.2.3.4/1e1', '1.2.3.4/ 8'])(
  'no range: %j',
  (text) => expect(parseIpRange(text)).toBeUndefined(),
);

describe('as a scan of all ranges would answer', () => {
  const covers = ({ address, prefix }: IpRange, other: IpAddress): boolean =>
    bits(address).slice(0, prefix) === bits(other).slice(0, prefix);
  const bits = (address: IpAddress): string => address.map((part) => part.toString(2).padStart(32, '0')).join('');
  /** Few distinct bits, so that blocks meet. */
  const part = fc.constantFrom(0, 1, 0x80000000, 0xffffffff, 0xffff, 0x0a000000);
  const address = fc.tuple(part, part, part, part);
  const range = fc.record({ address, prefix: fc.integer({ min: 0, max: 128 }) });
  test('whatever the blocks', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), address, (ranges, wanted) => {
        expect(new IpRanges(ranges).has(wanted)).toBe(ranges.some((one) => covers(one, wanted)));
      }),
      { numRuns: 2_000 },
    );
  });
});

test('IPv4 is read as ipaddr.js reads four decimal parts, whatever the text', () => {
  const piece = fc.constantFrom(
    '0',
    '1',
    '00',
    '01',
    '9',
    '25',
    '255',
    '256',
    '300',
    '.',
    '..',
    '-',
    '+',
    ' ',
    'x',
    '\uff11',
  );
  const nearly = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(''));
  const parts = fc
    .array(fc.integer({ min: 0, max: 260 }), { minLength: 3, maxLength: 5 })
    .map((numbers) => numbers.join('.'));
  fc.assert(
    fc.property(fc.oneof(nearly, parts), (text) => {
      const valid = ipaddr.IPv4.isValidFourPartDecimal(text);
      const [a = 0, b = 0, c = 0, d = 0] = valid ? ipaddr.IPv4.parse(text).toByteArray() : [];
      const expected = valid ? [0, 0, 0xffff, ((a << 24) | (b << 16) | (c << 8) | d) >>> 0] : undefined;
      expect(parseIpAddress(text)).toEqual(expected);
    }),
    { numRuns: 5_000 },
  );
});
