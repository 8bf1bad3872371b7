import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withinConnectionQuota } from './connection-quota.ts';
import { takeToken, type Bucket } from './token-bucket.ts';

const rate = { perSecond: 10, burst: 10 };

test('starts full, refuses when empty, refills with time', () => {
  let bucket: Bucket | undefined;
  const take = (now: number): boolean => {
    const next = takeToken(bucket, rate, now);
    bucket = next.bucket;
    return next.taken;
  };
  expect(Array.from({ length: 11 }, () => take(0))).toEqual([...Array.from({ length: 10 }, () => true), false]);
  expect([take(99), take(100), take(100)]).toEqual([false, true, false]);
});

test('never gives more than burst plus rate × time, whatever the times', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 200 }), (steps) => {
      let bucket: Bucket | undefined;
      let now = 0;
      let taken = 0;
      for (const step of steps) {
        now += step;
        const next = takeToken(bucket, rate, now);
        bucket = next.bucket;
        if (next.taken) taken += 1;
      }
      expect(taken).toBeLessThanOrEqual(rate.burst + (now * rate.perSecond) / 1000 + 1e-6);
    }),
  );
});

test('connection quota', () => {
  expect([
    withinConnectionQuota(null, 1e6, 1e6),
    withinConnectionQuota(3, 1, 2),
    withinConnectionQuota(3, 2, 2),
    withinConnectionQuota(0, 1, 0),
  ]).toEqual([true, true, false, false]);
});
