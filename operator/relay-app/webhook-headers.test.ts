import { expect, test } from 'vitest';
import { webhookHeaders } from './webhook-headers.ts';

const invalid = (data: Record<string, string>): string => {
  const parsed = webhookHeaders(data);
  return 'invalid' in parsed ? parsed.invalid : '';
};

test('headers in the order of their names, without the newline that a file ends with', () => {
  const parsed = webhookHeaders({ 'X-Tenant': ' shop\t', Authorization: 'Bearer abc\n' });
  expect('headers' in parsed && parsed.headers.reveal()).toBe('{"Authorization":"Bearer abc","X-Tenant":"shop"}');
});

test('no headers at all are none', () => {
  const parsed = webhookHeaders({});
  expect('headers' in parsed && parsed.headers.reveal()).toBe('{}');
});

test.each([
  'Host',
  'content-length',
  'CONTENT-TYPE',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'Proxy-Authorization',
  'X-Pusher-Key',
  'x-pusher-signature',
])('%s is not for others to set', (name) => {
  expect(invalid({ [name]: 'canary' })).toBe(`its key ${name} is a header that only the relay may set`);
});

test.each(['a b', 'a:b', '', 'ä', 'a\r\nb'])('%j is no header name', (name) => {
  expect(invalid({ [name]: 'canary' })).toBe(`its key ${JSON.stringify(name)} is no header name`);
});

test.each(['canary\r\nX-Other: 1', 'can\nary', 'can\0ary', 'canäry', 'can\u007fary'])(
  'a value that could become two headers, or none, is refused and not repeated',
  (value) => {
    expect(invalid({ 'X-One': value })).toBe(
      'the value of its key X-One is not one line of ASCII text, as a header must be',
    );
  },
);

test('one header twice, and more than a request can carry', () => {
  expect(invalid({ 'X-One': '1', 'x-one': '2' })).toBe('its key x-one stands twice, in upper and lower case');
  expect(invalid({ 'X-One': 'canary'.repeat(2_000) })).toBe('its headers are longer than 8192 bytes');
});
