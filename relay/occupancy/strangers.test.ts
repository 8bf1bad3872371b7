import { expect, test } from 'vitest';
import { Strangers } from './strangers.ts';

test('who has numbers and no sign of life for a lease is dead; who has beaten meanwhile is not', () => {
  let now = 0;
  const strangers = new Strangers(1_000, () => now);
  const known = new Set(['a']);
  expect(strangers.look('1', ['a', 'b', 'c'], known)).toEqual([]);
  expect([...strangers.apps()]).toEqual(['1']);
  now = 999;
  expect(strangers.look('1', ['a', 'b', 'c'], known)).toEqual([]);
  expect(strangers.look('1', ['a', 'b', 'c'], new Set(['a', 'c']))).toEqual([]);
  now = 1_000;
  expect(strangers.look('1', ['a', 'b', 'c'], known)).toEqual(['b']);
  expect(strangers.look('1', ['a'], known)).toEqual([]);
  expect([...strangers.apps()]).toEqual([]);
});
