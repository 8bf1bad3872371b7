import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import { WorkQueue } from './workqueue.ts';
import type { Priority } from './workqueue.ts';

function queue() {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ clock }) };
}

async function drain(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = await queue.get();
    if (key === undefined) break;
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

describe('one key', () => {
  test('added many times is given out once', async () => {
    const { queue: q } = queue();
    for (let i = 0; i < 5; i += 1) q.add('a');
    expect(await drain(q)).toEqual(['a']);
  });

  test('added while worked on comes back when that is done, and not before', async () => {
    const { queue: q } = queue();
    q.add('a');
    expect(await q.get()).toBe('a');
    q.add('a');
    q.add('a');
    expect(q.depth).toBe(0);
    q.done('a');
    expect(q.depth).toBe(1);
    expect(await drain(q)).toEqual(['a']);
  });

  test('backs off from 5 ms, doubling, to 1000 s, until it is forgotten', async () => {
    const { clock, queue: q } = queue();
    const delays: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      q.addRateLimited('a');
      delays.push((clock.next ?? 0) - clock.monotonic());
      await clock.advance(1_000_000);
      await drain(q);
    }
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(1_000_000);
    q.forget('a');
    q.addRateLimited('a');
    expect((clock.next ?? 0) - clock.monotonic()).toBe(5);
  });

  test('waits for the first of its delays, and comes once', async () => {
    const { clock, queue: q } = queue();
    q.addAfter('a', 1000);
    q.addAfter('a', 100);
    q.addAfter('a', 500);
    await clock.advance(99);
    expect(q.depth).toBe(0);
    await clock.advance(1);
    expect(await drain(q)).toEqual(['a']);
    await clock.advance(10_000);
    expect(q.depth).toBe(0);
  });
});

describe('priority', () => {
  test('deletions pass news, news pass resyncs; a key is lifted, never lowered', async () => {
    const { queue: q } = queue();
    q.add('resync', { priority: 'low' });
    q.add('lifted', { priority: 'low' });
    q.add('fresh');
    q.add('deleted', { priority: 'high' });
    q.add('lifted', { priority: 'high' });
    q.add('deleted', { priority: 'low' });
    expect(await drain(q)).toEqual(['deleted', 'lifted', 'fresh', 'resync']);
  });

  test('5000 resyncs do not hold up fresh work', async () => {
    const { queue: q } = queue();
    for (let i = 0; i < 5000; i += 1) q.add(`old-${i}`, { priority: 'low' });
    q.add('fresh');
    expect((await drain(q)).indexOf('fresh')).toBeLessThan(2);
  });

  test('while a backend is down only deletions are given out, and nothing is lost', async () => {
    const { queue: q } = queue();
    q.pause();
    q.add('fresh');
    q.add('deleted', { priority: 'high' });
    expect(await q.get()).toBe('deleted');
    q.done('deleted');
    const waiting = q.get();
    await settled();
    expect(q.depth).toBe(1);
    q.resume();
    expect(await waiting).toBe('fresh');
  });

  test('a slower lane gets its turn within ten, however much fresh work there is', async () => {
    const { queue: q } = queue();
    q.add('resync', { priority: 'low' });
    let turns = 0;
    while (turns < 100) {
      q.add(`fresh-${turns}-a`);
      q.add(`deleted-${turns}`, { priority: 'high' });
      const key = await q.get();
      turns += 1;
      if (key === undefined || key === 'resync') break;
      q.done(key);
    }
    expect(turns).toBeLessThanOrEqual(10);
  });
});

test('shut down: who waits is released, and nothing more is given out', async () => {
  const { clock, queue: q } = queue();
  q.addAfter('later', 10);
  const waiting = q.get();
  q.shutDown();
  expect(await waiting).toBeUndefined();
  q.add('a');
  await clock.advance(100);
  expect(await q.get()).toBeUndefined();
  expect(clock.sleeping).toBe(0);
});

test('draining 100 000 keys is linear', async () => {
  const { queue: q } = queue();
  for (let i = 0; i < 100_000; i += 1) q.add(`k${i}`);
  expect(await drain(q)).toHaveLength(100_000);
});

type Step =
  | { readonly do: 'add'; readonly key: string; readonly priority: Priority }
  | { readonly do: 'addAfter'; readonly key: string; readonly ms: number }
  | { readonly do: 'fail'; readonly index: number }
  | { readonly do: 'finish'; readonly index: number }
  | { readonly do: 'advance'; readonly ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('add'), key, priority: fc.constantFrom('high', 'normal', 'low') }),
  fc.record({ do: fc.constant('addAfter'), key, ms: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ do: fc.constant('fail'), index: fc.nat(3) }),
  fc.record({ do: fc.constant('finish'), index: fc.nat(3) }),
  fc.record({ do: fc.constant('advance'), ms: fc.integer({ min: 1, max: 60 }) }),
);

test('whatever happens: never two workers on one key, and every request is followed by a run', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, workers) => {
      const { clock, queue: q } = queue();
      const running: string[] = [];
      /** Keys asked for since their last run began. */
      const owed = new Set<string>();
      const work = async (): Promise<void> => {
        for (let taken = await q.get(); taken !== undefined; taken = await q.get()) {
          expect(running).not.toContain(taken);
          running.push(taken);
          owed.delete(taken);
          await new Promise<void>((resolve) => finish.set(taken ?? '', resolve));
          running.splice(running.indexOf(taken), 1);
          q.done(taken);
        }
      };
      const finish = new Map<string, () => void>();
      const end = async (index: number): Promise<string | undefined> => {
        const ended = running[index];
        if (ended === undefined) return undefined;
        finish.get(ended)?.();
        await settled();
        return ended;
      };
      const all = Promise.all(Array.from({ length: workers }, work));
      for (const now of steps) {
        switch (now.do) {
          case 'add':
            owed.add(now.key);
            q.add(now.key, { priority: now.priority });
            break;
          case 'addAfter':
            owed.add(now.key);
            q.addAfter(now.key, now.ms);
            break;
          case 'fail': {
            const failed = running[now.index];
            if (failed !== undefined) {
              owed.add(failed);
              q.addRateLimited(failed);
              await end(now.index);
            }
            break;
          }
          case 'finish':
            await end(now.index);
            break;
          case 'advance':
            await clock.advance(now.ms);
            break;
        }
        await settled();
      }
      await clock.advance(1_000_000);
      while (running.length > 0) await end(0);
      expect([...owed]).toEqual([]);
      expect(q.depth).toBe(0);
      q.shutDown();
      await all;
    }),
    { numRuns: 300 },
  );
});
