import { expect, test } from 'vitest';
import { restartDelay } from './workers.ts';

test('a worker that keeps dying is started ever more slowly, up to half a minute', () => {
  expect([1, 2, 3, 7, 8, 100].map(restartDelay)).toEqual([250, 500, 1_000, 16_000, 30_000, 30_000]);
});
