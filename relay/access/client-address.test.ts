import { describe, expect, test } from 'vitest';
import { clientAddress } from './client-address.ts';
import { parseIpRange } from './ip-address.ts';
import { IpRanges } from './ip-ranges.ts';

const trusted = new IpRanges(
  ['10.0.0.0/8', '2001:db8:1::/48'].map(parseIpRange).filter((range) => range !== undefined),
);
const xff = (peer: string, ...forwarded: readonly string[]): string => {
  const { text, spoofed } = clientAddress({ peer, forwarded }, 'x-forwarded-for', trusted);
  return spoofed ? `${text}, spoofed` : text;
};
const rfc7239 = (peer: string, ...forwarded: readonly string[]): string =>
  clientAddress({ peer, forwarded }, 'forwarded', trusted).text;

describe('X-Forwarded-For', () => {
  test.each([
    ['nobody forwards', '203.0.113.9', [], '203.0.113.9'],
    ['a stranger forwards: ignored and said', '203.0.113.9', ['198.51.100.7'], '203.0.113.9, spoofed'],
    ['a trusted proxy', '10.0.0.1', ['198.51.100.7'], '198.51.100.7'],
    ['a trusted proxy, mapped', '::ffff:10.0.0.1', ['198.51.100.7'], '198.51.100.7'],
    ['two trusted proxies', '10.0.0.1', ['198.51.100.7, 10.0.0.2'], '198.51.100.7'],
    ['what the client made up stands left', '10.0.0.1', ['10.9.9.9, 127.0.0.1, 198.51.100.7'], '198.51.100.7'],
    ['two header lines are one list', '10.0.0.1', ['127.0.0.1', '198.51.100.7'], '198.51.100.7'],
    ['only proxies', '10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    ['with a port', '10.0.0.1', ['198.51.100.7:4711'], '198.51.100.7'],
    ['IPv6', '10.0.0.1', ['2001:db8::7'], '2001:db8::7'],
    ['IPv6 with a port', '10.0.0.1', ['[2001:db8::7]:4711'], '2001:db8::7'],
    ['IPv6 behind an IPv6 proxy', '2001:db8:1::1', ['2001:db8::7'], '2001:db8::7'],
    ['no address ends the walk at the proxy', '10.0.0.1', ['198.51.100.7, unknown'], '10.0.0.1'],
    ['nor does an empty entry', '10.0.0.1', ['198.51.100.7,'], '10.0.0.1'],
    ['an old spelling is no address', '10.0.0.1', ['198.51.100.7, 0x0a.0.0.9'], '10.0.0.1'],
    ['a trusted proxy that forwards nothing', '10.0.0.1', [], '10.0.0.1'],
    [
      'a quote that the client opened does not swallow what the proxy added',
      '10.0.0.1',
      ['", 198.51.100.7'],
      '198.51.100.7',
    ],
    ['nor do two', '10.0.0.1', ['"1.2.3.4, 198.51.100.7, 10.0.0.2"', '198.51.100.8'], '198.51.100.8'],
  ])('%s', (_, peer, forwarded, expected) => expect(xff(peer, ...forwarded)).toBe(expected));
});

describe('Forwarded', () => {
  test.each([
    ['for=198.51.100.7;proto=https;by=10.0.0.1', '198.51.100.7'],
    ['For="[2001:db8::7]:4711"', '2001:db8::7'],
    ['for=127.0.0.1, for=198.51.100.7', '198.51.100.7'],
    ['for="1.2.3.4, for=5.6.7.8"', '10.0.0.1'],
    ['for=_hidden', '10.0.0.1'],
    ['for=unknown', '10.0.0.1'],
    ['for=198.51.100.7;for=198.51.100.8', '10.0.0.1'],
    ['proto=https', '10.0.0.1'],
    ['for="198.51.100.7\\"', '10.0.0.1'],
    // What a client leaves open does not swallow what the proxy added, and what it says as its host is no other address.
    ['for="1.2.3.4, for=198.51.100.7', '198.51.100.7'],
    ['for="1.2.3.4\\, for="[2001:db8::7]:4711";proto=https', '2001:db8::7'],
    ['", for=198.51.100.7;host="a,b\\"c"', '198.51.100.7'],
    ['for=198.51.100.7;host="a;for=1.2.3.4"', '198.51.100.7'],
    ['for="1.2.3.4, for="10.0.0.2:80"', '10.0.0.2'],
  ])('%s: %s', (value, expected) => expect(rfc7239('10.0.0.1', value)).toBe(expected));
});
