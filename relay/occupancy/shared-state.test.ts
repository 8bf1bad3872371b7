import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryWire } from '../bus/memory.ts';
import { Signals } from '../bus/signals.ts';
import { SocketRegistry } from '../server/socket-registry.ts';
import { MemoryStores } from './memory-store.ts';
import { LEASE_MS } from './occupancy.ts';
import { SharedState } from './shared-state.ts';

const rules = { webhooks: new Set<string>(), subscriptionCounts: false };

/** One replica of a store with a clock of its own; beats when it is told to. */
async function replica() {
  const clock = { now: 0 };
  const now = (): number => clock.now;
  const stores = new MemoryStores({ wire: new MemoryWire(), now, webhooks: () => undefined });
  const recovered: string[] = [];
  const state = new SharedState({
    store: stores.store('here'),
    local: new SocketRegistry<{ readonly appId: string }>(),
    signals: new Signals(),
    rules: () => rules,
    rosterListener: () => undefined,
    onWebhooks: () => undefined,
    onRecovered: (appId) => recovered.push(appId),
    now,
    log: pino({ level: 'silent' }),
    beatMs: 1e9,
  });
  const other = stores.store('other');
  await other.touch(['1']);
  await other.beat();
  const beatAt = async (ms: number): Promise<void> => {
    clock.now = ms;
    state.beat();
    await state.quiet();
  };
  return { stores, recovered, beatAt, [Symbol.asyncDispose]: () => state[Symbol.asyncDispose]() };
}

test('a replica that is silent for longer than the lease is buried', async () => {
  await using here = await replica();
  for (let ms = 0; ms <= LEASE_MS; ms += 2_000) await here.beatAt(ms);
  expect(here.recovered).toEqual([]);
  await here.beatAt(LEASE_MS + 1);
  expect(here.recovered).toEqual(['1']);
  await here.beatAt(LEASE_MS + 2_000);
  expect(here.recovered).toEqual(['1']);
});

test('whoever was out of contact itself gives the others a lease to speak', async () => {
  await using here = await replica();
  await here.beatAt(0);
  here.stores.goAway();
  await here.beatAt(60_000);
  here.stores.comeBack();
  for (let ms = 61_000; ms < 61_000 + LEASE_MS; ms += 2_000) {
    await here.beatAt(ms);
    expect(here.recovered).toEqual([]);
  }
  await here.beatAt(61_000 + LEASE_MS);
  expect(here.recovered).toEqual(['1']);
});
