import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryWire } from '../bus/memory.ts';
import { Signals } from '../bus/signals.ts';
import { MemoryStores } from '../occupancy/memory-store.ts';
import { SharedState } from '../occupancy/shared-state.ts';
import { SocketRegistry } from '../server/socket-registry.ts';

test('the users of many channels are counted a part at a time, and as far as the store answers', async () => {
  const stores = new MemoryStores({ wire: new MemoryWire(), now: () => 0, webhooks: () => undefined });
  const store = stores.store('here');
  const asked: number[] = [];
  let answers = Number.POSITIVE_INFINITY;
  await using state = new SharedState({
    store: {
      ...store,
      rosterHeads: (appId, channels) => {
        asked.push(channels.length);
        return asked.length > answers ? Promise.resolve(undefined) : store.rosterHeads(appId, channels);
      },
    },
    local: new SocketRegistry<{ readonly appId: string }>(),
    signals: new Signals(),
    rules: () => ({ webhooks: new Set(), subscriptionCounts: false }),
    rosterListener: () => undefined,
    onWebhooks: () => undefined,
    onRecovered: () => undefined,
    now: () => 0,
    log: pino({ level: 'silent' }),
    beatMs: 1e9,
  });
  const channels = Array.from({ length: 1_001 }, (_, n) => `presence-${n}`);
  for (const channel of ['presence-0', 'presence-1000']) {
    await state.presence.join('1', channel, '1.1', { userId: 'ada', info: 'null' }, 100);
  }

  const all = await state.presence.userCounts('1', channels);
  expect(all.reached).toBe(true);
  expect(all.value.size).toBe(1_001);
  expect([...all.value].filter(([, count]) => count === 1).map(([name]) => name)).toEqual([
    'presence-0',
    'presence-1000',
  ]);
  expect(asked).toEqual([200, 200, 200, 200, 200, 1]);

  answers = asked.length + 1;
  const some = await state.presence.userCounts('1', channels);
  expect(some.reached).toBe(false);
  // What the store did not say is known from the channels that this replica has members in.
  expect([...some.value].filter(([, count]) => count === 1)).toHaveLength(2);
  expect(asked).toHaveLength(8);
});
