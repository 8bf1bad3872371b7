import { expect, test } from 'vitest';
import { cameInPlaintext } from './plaintext.ts';

test.each([
  [true, undefined, false],
  [false, undefined, true],
  [false, 'https', false],
  [false, 'HTTPS', false],
  [false, 'wss', false],
  [false, 'https, https', false],
  [false, 'http', true],
  [false, 'ws', true],
  // A client of the first proxy spoke plaintext, or one proxy appended to what its client made up.
  [false, 'http, https', true],
  [false, 'https,http', true],
  [false, '', true],
  [false, 'https,', true],
  [false, 'httpsx', true],
  // The proxy speaks TLS to the relay, its client did not.
  [true, 'http', true],
  [true, 'https', false],
])('encrypted %s, X-Forwarded-Proto of a trusted proxy %s: plaintext %s', (encrypted, forwardedProto, plaintext) => {
  expect(cameInPlaintext({ encrypted, forwardedProto })).toBe(plaintext);
});
