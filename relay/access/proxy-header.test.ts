import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readProxyHeader } from './proxy-header.ts';

const text = (header: string): Buffer => Buffer.from(header, 'latin1');
const SIGNATURE = '0d0a0d0a000d0a515549540a';
const hex = (...parts: string[]): Buffer => Buffer.from(SIGNATURE + parts.join(''), 'hex');
const V4 = ['c0000201', 'c0000202', 'dcae', '01bb'];
const V6 = ['20010db8000000000000000000000007', '20010db8000000000000000000000001', 'dcae', '01bb'];

const longestV1 = 'PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n'.replaceAll(
  'f...f',
  'ffff:ffff:ffff:ffff:ffff:ffff',
);

test.each<[string, Buffer, string | undefined]>([
  ['TCP4', text('PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n'), '192.0.2.1'],
  ['TCP6', text('PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n'), '2001:db8::7'],
  ['the longest TCP6', text(longestV1), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['UNKNOWN', text('PROXY UNKNOWN\r\n'), undefined],
  ['UNKNOWN with addresses', text('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'), undefined],
  ['v2 over IPv4', hex('21', '11', '000c', ...V4), '192.0.2.1'],
  ['v2 over IPv6', hex('21', '21', '0024', ...V6), '2001:db8:0:0:0:0:0:7'],
  ['v2 with notes', hex('21', '11', '0013', ...V4, '04000400000000'), '192.0.2.1'],
  ['v2, a health check', hex('20', '00', '0000'), undefined],
  ['v2, a health check with addresses', hex('20', '11', '000c', ...V4), undefined],
  ['v2, of what is no network', hex('21', '00', '0000'), undefined],
])('%s', (_, header, source) => {
  expect(readProxyHeader(header)).toEqual({ kind: 'header', length: header.length, source });
  // Exactly as many bytes as are its own, and nothing is decided before the last of them.
  expect(readProxyHeader(Buffer.concat([header, text('GET / HTTP/1.1\r\n')]))).toMatchObject({ length: header.length });
  for (let length = 0; length < header.length; length += 1)
    expect(readProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' });
});

test.each<[string, Buffer]>([
  ['a request', text('GET / HTTP/1.1\r\n\r\n')],
  ['a TLS handshake', Buffer.from('160301', 'hex')],
  ['lower case', text('proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['no end in sight', text(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
  ['IPv4 said to be IPv6', text('PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['IPv6 said to be IPv4', text('PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n')],
  ['an old spelling', text('PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n')],
  ['two spaces', text('PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n')],
  ['a port beyond', text('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n')],
  ['a port too many', text('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
  ['a port too few', text('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
  ['UDP', text('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['v2 of version 1', hex('11', '11', '000c', ...V4)],
  ['v2 with an unknown command', hex('22', '11', '000c', ...V4)],
  ['v2 over UDP', hex('21', '12', '000c', ...V4)],
  ['v2 of a Unix socket', hex('21', '31', '00d8', '00'.repeat(216))],
  ['v2 with too little', hex('21', '21', '000c', ...V4)],
  ['v2 with too much', hex('21', '11', 'ffff')],
])('%s is no header', (_, bytes) => expect(readProxyHeader(bytes)).toEqual({ kind: 'invalid' }));

test('whatever comes, a header never ends behind what has come', () => {
  const start = fc.constantFrom(
    text('PROXY '),
    text('PROXY TCP4 '),
    hex(),
    hex('21', '11'),
    hex('21', '21', '0024'),
    text(''),
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 200 }), (beginning, rest) => {
      const bytes = Buffer.concat([beginning, rest]);
      const read = readProxyHeader(bytes);
      if (read.kind === 'header') expect(read.length).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
