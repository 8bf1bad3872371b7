import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextRotation } from './schedule.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2027, 0, 1);

test('due within the last hundredth of the interval, an hour at the most, with time to hand it out, always at the same moment', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.string(), (hours, id) => {
      const interval = hours * HOUR;
      const next = nextRotation({ activatedAt: NOW, interval, id }, NOW);
      expect(next).toBeLessThanOrEqual(NOW + interval - Math.min(interval / 1_000, HOUR / 10));
      expect(next).toBeGreaterThanOrEqual(NOW + interval - Math.min(interval / 100, HOUR));
      expect(nextRotation({ activatedAt: NOW, interval, id }, NOW + 5 * HOUR)).toBe(next);
    }),
  );
});

test('a thousand that were made in one minute are spread over most of the hour before they are due', () => {
  const minutes = new Map<number, number>();
  for (let index = 0; index < 1_000; index += 1) {
    const next = nextRotation({ activatedAt: NOW, interval: 2_160 * HOUR, id: `token-${index}` }, NOW);
    const minute = Math.floor(next / 60_000);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
  }
  expect(minutes.size).toBeGreaterThanOrEqual(54);
  expect(Math.max(...minutes.values())).toBeLessThan(50);
});

test('one that was handed out in the future is due now; a clock that is off by minutes makes no difference', () => {
  const schedule = { interval: 2_160 * HOUR, id: 'a' };
  expect(nextRotation({ ...schedule, activatedAt: NOW + 2 * HOUR }, NOW)).toBe(NOW);
  expect(nextRotation({ ...schedule, activatedAt: NOW + HOUR / 2 }, NOW)).toBeGreaterThan(NOW + 2_159 * HOUR);
});
