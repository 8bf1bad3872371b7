import { expect, test } from 'vitest';
import { lowerRate, parseRate, RATE_PROFILES, rateOf, rateSpec } from './rate.ts';

test('the profiles have the numbers of the specification', () => {
  expect(RATE_PROFILES).toEqual({
    BurstFriendly: { requestsPerMinute: 120, burst: 200 },
    SteadyStream: { requestsPerMinute: 60, burst: 30 },
    ApiHeavy: { requestsPerMinute: 300, burst: 500 },
    Restricted: { requestsPerMinute: 10, burst: 5 },
  });
});

test.each([
  [{ profile: 'Restricted' }, { requestsPerMinute: 10, burst: 5 }],
  [
    { requestsPerMinute: 7, burst: 1 },
    { requestsPerMinute: 7, burst: 1 },
  ],
  [{}, undefined],
  [{ profile: 'Fast' }, undefined],
  [{ requestsPerMinute: 7 }, undefined],
  [{ burst: 7 }, undefined],
  [{ profile: 'Restricted', burst: 7 }, undefined],
  [{ requestsPerMinute: 0, burst: 1 }, undefined],
  [{ requestsPerMinute: 1, burst: 1.5 }, undefined],
  [{ requestsPerMinute: 1, burst: 1_000_001 }, undefined],
])('%j', (spec, rate) => {
  const parsed = rateSpec.safeParse(spec);
  expect(parsed.success ? rateOf(parsed.data) : undefined).toEqual(rate);
});

test('a setting: requests per minute and burst, or nothing', () => {
  expect([parseRate('60/30'), parseRate('none')]).toEqual([{ requestsPerMinute: 60, burst: 30 }, null]);
  for (const text of ['', '60', '60/', '/30', '0/30', '60/0', '60/30/1', ' 60/30', '-1/2', '1000001/1']) {
    expect(() => parseRate(text)).toThrow('must be requests per minute and burst, such as 60/30');
  }
});

test('the lower of two, number by number', () => {
  const lower = lowerRate({ requestsPerMinute: 10, burst: 50 }, { requestsPerMinute: 60, burst: 30 });
  expect(lower).toEqual({ requestsPerMinute: 10, burst: 30 });
});
