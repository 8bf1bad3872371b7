import { expect, test } from 'vitest';
import { settled } from '#test/parts/fake-clock.ts';
import { PostSlots } from './post-slots.ts';

test('when all slots are taken, apps take turns, whatever each of them asks for', async () => {
  const slots = new PostSlots(2);
  const order: string[] = [];
  const ends: (() => void)[] = [];
  const ask = (appId: string): void =>
    void slots.run(appId, () => {
      order.push(appId);
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  for (const appId of ['slow', 'slow', 'slow', 'slow', 'slow', 'a', 'b', 'a']) ask(appId);
  for (let n = 0; n < 8; n += 1) {
    await settled();
    expect(order.length - n).toBeLessThanOrEqual(2);
    ends[n]?.();
  }
  expect(order).toEqual(['slow', 'slow', 'slow', 'a', 'b', 'slow', 'a', 'slow']);
  await settled();
  ask('c');
  expect(order.at(-1)).toBe('c');
});

test('a task that fails gives its slot back', async () => {
  const slots = new PostSlots(1);
  await expect(slots.run('a', () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  expect(await slots.run('a', () => Promise.resolve(1))).toBe(1);
});
