import { expect, test } from 'vitest';
import { closeReason } from './close-codes.ts';

test.each([
  ['', ''],
  ['a'.repeat(123), 'a'.repeat(123)],
  ['a'.repeat(124), 'a'.repeat(123)],
  ['\u{1f600}'.repeat(40), '\u{1f600}'.repeat(30)],
  [`abc${'\u{1f600}'.repeat(40)}`, `abc${'\u{1f600}'.repeat(30)}`],
  [`a${'ü'.repeat(100)}`, `a${'ü'.repeat(61)}`],
])('of %j a close frame says %j', (message, reason) => {
  expect(closeReason(message)).toBe(reason);
});
