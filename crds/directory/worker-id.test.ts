import { expect, test } from 'vitest';
import { relayOfWorker, workerId } from './worker-id.ts';

test('the relay of a worker is found again from its id; a relay of one process keeps its name', () => {
  expect(workerId('relay-7d9f-x2x', 12)).toBe('relay-7d9f-x2x:w12');
  expect(relayOfWorker('relay-7d9f-x2x:w12')).toBe('relay-7d9f-x2x');
  expect(relayOfWorker('relay-7d9f-x2x')).toBe('relay-7d9f-x2x');
  expect(relayOfWorker('a:w1:wide')).toBe('a:w1:wide');
});
