import { expect, test } from 'vitest';
import { Occasions } from './occasions.ts';

test('each kind is told once in a while, with how many there were since', () => {
  let now = 0;
  const occasions = new Occasions(() => now, 60_000);
  expect([occasions.add('a', 1), occasions.add('a', 2), occasions.add('b', 1)]).toEqual([1, undefined, 1]);
  now = 59_999;
  expect(occasions.add('a', 1)).toBeUndefined();
  now = 60_000;
  expect([occasions.add('a', 1), occasions.add('a', 1)]).toEqual([4, undefined]);
  now = 120_000;
  expect(occasions.add('a', 1)).toBe(2);
});
