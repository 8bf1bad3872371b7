import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import { purge } from './purge.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test('every hour: apps that were deleted seven days ago, and who used what is gone; a failure costs an hour', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const did: (string | number)[] = [];
  const lines: string[] = [];
  let isAway = false;
  const running = purge(
    {
      clock,
      log: pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(line) }),
      registry: {
        purgeApps: async (before) => {
          if (isAway) throw new Error('connection refused');
          did.push(clock.now() - before);
          return did.length === 1 ? ['4711'] : [];
        },
      },
      purgeUses: async () => did.push('uses'),
    },
    stop.signal,
  );
  await clock.advance(HOUR - 1);
  expect(did).toEqual([]);
  await clock.advance(1);
  expect(did).toEqual([7 * DAY, 'uses']);
  isAway = true;
  await clock.advance(HOUR);
  isAway = false;
  await clock.advance(HOUR);
  expect(did).toEqual([7 * DAY, 'uses', 7 * DAY, 'uses']);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { level: 30, appIds: ['4711'], msg: 'purged apps that were deleted 7 days ago' },
    expect.objectContaining({ level: 40, msg: 'purge failed, trying again in an hour' }),
  ]);
  stop.abort();
  await settled();
  await running;
});
