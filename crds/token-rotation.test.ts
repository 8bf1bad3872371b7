import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tokenRotation, tokenRotationTimes } from './token-rotation.ts';

const HOUR = 3_600_000;

describe('the times of a token', () => {
  test.each([
    [undefined, { automatic: true, interval: 2160, overlap: 168, grace: 24, deadline: 672 }],
    [{ mode: 'Never' }, { automatic: false, interval: 2160, overlap: 168, grace: 24, deadline: 672 }],
    [{ interval: '24h' }, { automatic: true, interval: 24, overlap: 12, grace: 24, deadline: 48 }],
    [{ overlap: '1h' }, { automatic: true, interval: 2160, overlap: 1, grace: 3, deadline: 4 }],
    [
      { overlap: '1h', grace: '24h' },
      { automatic: true, interval: 2160, overlap: 1, grace: 24, deadline: 25 },
    ],
    [
      { deadline: '30h', grace: '10h' },
      { automatic: true, interval: 2160, overlap: 20, grace: 10, deadline: 30 },
    ],
    [{ grace: '0s' }, { automatic: true, interval: 2160, overlap: 168, grace: 0, deadline: 672 }],
  ] as const)('%j', (spec, hours) => {
    const { automatic, ...times } = tokenRotationTimes(spec);
    expect({
      automatic,
      ...Object.fromEntries(Object.entries(times).map(([field, ms]) => [field, ms / HOUR])),
    }).toEqual(hours);
  });

  test('whatever is written and accepted: overlap and grace end by the deadline, and the overlap within the interval', () => {
    const some = fc.option(
      fc.integer({ min: 1, max: 5_000 }).map((hours) => `${hours}h`),
      { nil: undefined },
    );
    fc.assert(
      fc.property(fc.record({ interval: some, overlap: some, grace: some, deadline: some }), (spec) => {
        fc.pre(tokenRotation.safeParse(spec).success);
        const { interval, overlap, grace, deadline } = tokenRotationTimes(spec);
        expect(overlap).toBeGreaterThan(0);
        expect(overlap).toBeLessThan(interval);
        expect(grace).toBeGreaterThanOrEqual(0);
        expect(overlap + grace).toBeLessThanOrEqual(deadline);
      }),
    );
  });
});

test.each([
  [{ mode: 'Never', interval: '2160h' }, 'mode', 'leave them out'],
  [{ interval: '90d' }, 'interval', 'write 2160h instead of 90d'],
  [{ interval: '30m' }, 'interval', 'at least 1h'],
  [{ interval: '24h', overlap: '24h' }, 'overlap', 'shorter than interval'],
  [{ overlap: '168h', grace: '24h', deadline: '191h' }, 'grace', 'at least overlap and grace together'],
  [{ grace: '24h', deadline: '24h' }, 'grace', 'at least overlap and grace together'],
  [{ mode: 'Sometimes' }, 'mode', 'Automatic'],
])('%j is refused', (spec, field, words) => {
  const issues = tokenRotation.safeParse(spec).error?.issues ?? [];
  expect(issues.map(({ path }) => path[0])).toEqual([field]);
  expect(JSON.stringify(issues)).toContain(words);
});

test.each([
  {},
  { mode: 'Automatic', interval: '1h' },
  { mode: 'Never' },
  { overlap: '5s', grace: '5s', deadline: '10s' },
])('%j is accepted', (spec) => expect(tokenRotation.safeParse(spec).success).toBe(true));
