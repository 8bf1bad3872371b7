import fc from 'fast-check';
import { isIP } from 'node:net';
import { expect, test } from 'vitest';
import { CLIENT_NAME, clientName } from './client-name.ts';

test.each([
  ['pusher-http-node 5.3.4', 'pusher-http-node 5.3.4'],
  ['pusher-http-python 3.3.2', 'pusher-http-python 3.3.2'],
  ['js 8.6.0', 'js 8.6.0'],
  ['curl/8.5.0', 'curl 8.5.0'],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', 'Mozilla 5.0'],
  ['pusher-js 8.4.0-rc.2', 'pusher-js 8.4.0-rc.2'],
  ['gem v2.0.3', 'gem 2.0.3'],
  ['node', 'node'],
  // Four numbers may be a version, and may be an address.
  ['proxy 10.0.0.7', 'proxy 10.0.0'],
])('%s is %s', (said, name) => {
  expect(clientName(said)).toBe(name);
});

test.each([
  '',
  ' ',
  '10.0.0.7',
  '10.0.0.7/1.0',
  '::1',
  'fe80::1/64',
  'host.example.com',
  'a@example.com',
  `${'a'.repeat(41)} 1`,
  '<script>',
])('nothing is made of %j', (said) => {
  expect(clientName(said)).toBeUndefined();
});

test('whatever is said, the name is short, of a closed alphabet, and holds no address', () => {
  const piece = fc.constantFrom('a', 'Z', '7', '.', ':', '/', ' ', '-', '_', 'v', '192.168.1.1', '::1', 'é', '\n');
  const said = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(said, (text) => {
      const name = clientName(text);
      if (name === undefined) return;
      expect(name).toMatch(CLIENT_NAME);
      expect(name.length).toBeLessThanOrEqual(80);
      expect(name.split(' ').some((word) => isIP(word) !== 0)).toBe(false);
    }),
  );
});
