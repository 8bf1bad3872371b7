import { expect, test } from 'vitest';
import { endOfTurn } from './turn.ts';

test('all who ask in one turn go on together, in their order, after everything else that the turn does', async () => {
  const seen: string[] = [];
  const asks = async (name: string): Promise<void> => {
    await endOfTurn();
    seen.push(`${name}: first step`);
    await Promise.resolve();
    seen.push(`${name}: second step`);
  };
  const both = [asks('a'), asks('b')];
  process.nextTick(() => seen.push('next tick'));
  await Promise.resolve();
  seen.push('microtask');
  await Promise.all(both);
  expect(seen).toEqual([
    'microtask',
    'next tick',
    'a: first step',
    'b: first step',
    'a: second step',
    'b: second step',
  ]);
});

test('the next turn has an end of its own', async () => {
  const first = endOfTurn();
  expect(endOfTurn()).toBe(first);
  await first;
  const second = endOfTurn();
  expect(second).not.toBe(first);
  await second;
});
