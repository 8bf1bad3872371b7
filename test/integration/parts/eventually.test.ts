import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';

test('it resolves to the first value that is neither false, null nor undefined', async () => {
  const values: (0 | null | false | undefined)[] = [undefined, null, false, 0];
  expect(await eventually(() => values.shift(), { interval: 1 })).toBe(0);
});

test('it survives errors, and rejects with the last one when the time is up', async () => {
  let attempts = 0;
  const attempt = (): never => {
    attempts += 1;
    throw new Error(`attempt ${attempts}`);
  };
  const failed = eventually(attempt, { timeout: 50, interval: 1, describe: 'the miracle' });
  await expect(failed).rejects.toThrow(/^the miracle did not come true within 50 ms: attempt \d+$/);
  expect(attempts).toBeGreaterThan(1);
});

test('an attempt that hangs does not make it hang', async () => {
  const failed = eventually(() => new Promise<true>(() => {}), { timeout: 20 });
  await expect(failed).rejects.toThrow(/still running/);
});
