import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryWire } from '../bus/memory.ts';
import { Signals } from '../bus/signals.ts';
import { MemoryStores } from '../occupancy/memory-store.ts';
import { SharedState, type SharedStateParts } from '../occupancy/shared-state.ts';
import { SocketRegistry } from '../server/socket-registry.ts';
import type { Joining, Member } from './presence.ts';

const PARTS: Omit<SharedStateParts, 'store' | 'signals'> = {
  local: new SocketRegistry<{ readonly appId: string }>(),
  rules: () => ({ webhooks: new Set(), subscriptionCounts: false }),
  rosterListener: () => undefined,
  onWebhooks: () => undefined,
  onRecovered: () => undefined,
  now: () => 0,
  log: pino({ level: 'silent' }),
  beatMs: 1e9,
};

type Scene = AsyncDisposable & {
  readonly stores: MemoryStores;
  readonly presence: SharedState['presence'];
  /** Called before each write: what it returns is waited for. */
  beforeWrite: () => Promise<void>;
};

const memoryStores = (): MemoryStores =>
  new MemoryStores({ wire: new MemoryWire(), now: () => 0, webhooks: () => undefined });

function scene(stores = memoryStores(), replica = 'here'): Scene {
  const store = stores.store(replica);
  const state = new SharedState({
    ...PARTS,
    signals: new Signals(),
    store: {
      ...store,
      apply: async (appId, write) => {
        await made.beforeWrite();
        return store.apply(appId, write);
      },
    },
  });
  const made: Scene = {
    stores,
    presence: state.presence,
    beforeWrite: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => state[Symbol.asyncDispose](),
  };
  return made;
}

const ROOM = 'presence-room';
const as = (userId: string): Member => ({ userId, info: 'null' });
const idsOf = (joining: Joining): string[] =>
  joining.outcome === 'full' ? [] : joining.members.map(({ userId }) => userId).toSorted();

test('while the store is away the limit is kept by what is known here', async () => {
  await using room = scene();
  const join = (userId: string, socketId: string): Promise<Joining> =>
    room.presence.join('1', ROOM, socketId, as(userId), 2);
  await join('ada', '1.1');
  room.stores.goAway();
  expect(idsOf(await join('bob', '1.2'))).toEqual(['ada', 'bob']);
  expect(await join('cyd', '1.3')).toEqual({ outcome: 'full' });
  room.presence.leave('1', ROOM, '1.3', 'cyd');
  expect(idsOf(await join('ada', '1.4'))).toEqual(['ada', 'bob']);
});

test('who finds a channel full and asks again meanwhile has the place that became free', async () => {
  await using room = scene();
  await using elsewhere = scene(room.stores, 'elsewhere');
  await elsewhere.presence.join('1', ROOM, '1.1', as('bob'), 1);
  const join = (): Promise<Joining> => room.presence.join('1', ROOM, '1.2', as('ada'), 1);
  const writes = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
  const begun = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
  let count = 0;
  room.beforeWrite = () => {
    const at = count;
    count += 1;
    begun[at]?.resolve();
    return writes[at]?.promise ?? Promise.resolve();
  };
  const first = join();
  await begun[0]?.promise;
  room.presence.leave('1', ROOM, '1.2', 'ada');
  const second = join();
  writes[0]?.resolve();
  expect(await first).toEqual({ outcome: 'full' });
  await begun[1]?.promise;
  elsewhere.presence.leave('1', ROOM, '1.1', 'bob');
  await expect.poll(async () => (await elsewhere.presence.members('1', ROOM)).value).toEqual([]);
  writes[1]?.resolve();
  expect(idsOf(await second)).toEqual(['ada']);
});

test('the users of many channels are counted a part at a time, and as far as the store answers', async () => {
  const store = memoryStores().store('here');
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
    ...PARTS,
    signals: new Signals(),
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
