import { describe, expect, test } from 'vitest';
import { duration, durationMs, formatDuration } from './duration.ts';

describe('durations', () => {
  test.each([
    ['2160h', 90 * 86_400_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['90s', 90_000],
    ['1h0m0.250s', 3_600_250],
    ['250ms', 250],
    ['0s', 0],
  ])('%s', (text, ms) => {
    expect(duration.safeParse(text).success).toBe(true);
    expect(durationMs(text)).toBe(ms);
    expect(durationMs(formatDuration(ms))).toBe(ms);
  });

  test('are written as Go prints them', () => {
    expect([2_160 * 3_600_000, 5_430_250, 0].map(formatDuration)).toEqual(['2160h0m0s', '1h30m30.25s', '0h0m0s']);
  });

  test.each(['90d', '', '12', 'h', '-1h', '1h 30m', '1H', '1µs', '1w'])(
    '%j is refused, and the message says what to write',
    (text) => {
      expect(duration.safeParse(text).error?.issues[0]?.message).toContain('write 2160h instead of 90d');
    },
  );
});
