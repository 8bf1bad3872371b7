import { expect, test } from 'vitest';
import { isNoticeDue, noticeAt } from './notice.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const AT = Date.UTC(2027, 2, 1);

test.each([
  [90 * DAY, 7 * DAY],
  [70 * DAY, 7 * DAY],
  [30 * DAY, 3 * DAY],
  [10 * HOUR, HOUR],
  [0, 0],
  [-DAY, 0],
])('of a life of %d ms, people have %d ms to prepare', (life, before) => {
  expect(noticeAt(AT, life)).toBe(AT - before);
});

test('it is time from then on until it happens', () => {
  const life = 90 * DAY;
  expect(isNoticeDue(AT, life, AT - 7 * DAY - 1)).toBe(false);
  expect(isNoticeDue(AT, life, AT - 7 * DAY)).toBe(true);
  expect(isNoticeDue(AT, life, AT - 1)).toBe(true);
  expect(isNoticeDue(AT, life, AT)).toBe(false);
});
