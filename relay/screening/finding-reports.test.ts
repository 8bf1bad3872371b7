import { expect, test } from 'vitest';
import { FindingReports } from './finding-reports.ts';

test('each kind is told once a minute, with how many there were since', () => {
  let now = 0;
  const reports = new FindingReports(() => now);
  expect([reports.add('a', 1), reports.add('a', 2), reports.add('b', 1)]).toEqual([1, undefined, 1]);
  now = 59_999;
  expect(reports.add('a', 1)).toBeUndefined();
  now = 60_000;
  expect([reports.add('a', 1), reports.add('a', 1)]).toEqual([4, undefined]);
  now = 120_000;
  expect(reports.add('a', 1)).toBe(2);
});
