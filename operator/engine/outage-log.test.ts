import { pino } from 'pino';
import { expect, test } from 'vitest';
import { OutageLog } from './outage-log.ts';

test('the first that notices says so, the last that recovers says that it is over', () => {
  const lines: string[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const outages = new OutageLog(log, { down: 'away', up: 'back' });
  outages.up('a', {});
  expect(lines).toEqual([]);
  outages.down('a', {});
  outages.down('b', {});
  outages.down('a', {});
  expect(lines).toEqual(['away']);
  outages.up('a', {});
  expect(lines).toEqual(['away']);
  outages.up('b', {});
  outages.up('b', {});
  expect(lines).toEqual(['away', 'back']);
  outages.down('b', {});
  expect(lines).toEqual(['away', 'back', 'away']);
});
