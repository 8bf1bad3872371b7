import { expect, test } from 'vitest';
import { nextAttempt } from './retry.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ANNOUNCED = Date.UTC(2027, 2, 1);

test.each([
  [1, MINUTE],
  [2, 2 * MINUTE],
  [6, 32 * MINUTE],
  [7, HOUR],
  [70, HOUR],
])('after %d attempts the pause is %d ms', (attempts, pause) => {
  expect(nextAttempt({ attempts, announcedAt: ANNOUNCED }, ANNOUNCED)).toBe(ANNOUNCED + pause);
});

test('who asks for a longer pause gets it, up to an hour', () => {
  expect(nextAttempt({ attempts: 1, announcedAt: ANNOUNCED }, ANNOUNCED, 5 * MINUTE)).toBe(ANNOUNCED + 5 * MINUTE);
  expect(nextAttempt({ attempts: 1, announcedAt: ANNOUNCED }, ANNOUNCED, 99 * HOUR)).toBe(ANNOUNCED + HOUR);
});

test('after three days nobody tries any more', () => {
  const end = ANNOUNCED + 72 * HOUR;
  expect(nextAttempt({ attempts: 70, announcedAt: ANNOUNCED }, end - HOUR)).toBe(end);
  expect(nextAttempt({ attempts: 70, announcedAt: ANNOUNCED }, end - HOUR + 1)).toBeUndefined();
});
