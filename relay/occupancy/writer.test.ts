import { expect, test } from 'vitest';
import { MemoryWire } from '../bus/memory.ts';
import { memberField } from './fields.ts';
import { MemoryStores } from './memory-store.ts';
import { Writer } from './writer.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what somebody changes as soon as its join is answered is written in the next turns, not at the next beat', async () => {
  const stores = new MemoryStores({ wire: new MemoryWire(), now: () => 0, webhooks: () => undefined });
  const store = stores.store('here');
  const numbers = new Map([[memberField('presence-room', 'ada'), 1]]);
  let mark = 0;
  const writer = new Writer({
    store,
    numbers: {
      count: (_appId, field) => ({ count: numbers.get(field) ?? 0, info: 'null' }),
      fields: () => numbers.keys(),
    },
    rules: () => ({ webhooks: new Set(), subscriptionCounts: false }),
    listener: { webhooks: () => undefined, rosters: () => undefined },
    nextMark: () => `${(mark += 1)}`,
  });
  await writer.member('1', memberField('presence-room', 'ada'), 100);
  numbers.set('presence-room', 1);
  writer.changed('1', 'presence-room');
  // Nothing else happens here: no beat, no other change.
  for (let turns = 0; turns < 10; turns++) await turn();
  expect(await store.total('1', ['presence-room'])).toEqual([1]);
  await writer.close();
});
