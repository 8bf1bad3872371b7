import { beforeEach, expect, test } from 'vitest';
import { MemoryBus, MemoryWire } from '../bus/memory.ts';
import { signal, Signals } from '../bus/signals.ts';
import type { Counted } from '../occupancy/occupancy.ts';
import { textFrame } from '../protocol/text-frame.ts';
import { Watchlists, type Watcher } from './watchlists.ts';

/** Answers when the test says so, with what was so when it was asked. */
class Store {
  readonly signedIn = new Set<string>();
  reached = true;
  asked = 0;
  held = false;
  #open: (() => void)[] = [];

  async online(_appId: string, userIds: readonly string[]): Promise<Counted<ReadonlySet<string>>> {
    this.asked += 1;
    const value = new Set(userIds.filter((id) => this.signedIn.has(id)));
    if (this.held) await new Promise<void>((resolve) => this.#open.push(resolve));
    return { value, reached: this.reached };
  }
  answer(): void {
    this.held = false;
    for (const open of this.#open.splice(0)) open();
  }
}

class Listener implements Watcher {
  readonly appId = '101';
  readonly told: string[] = [];
  sendFrame(frame: Buffer): void {
    const length = textFrame('').length + (frame.length > 127 ? 2 : 0);
    const { data } = JSON.parse(frame.subarray(length).toString()) as { data: string };
    const { events } = JSON.parse(data) as { events: { name: string; user_ids: string[] }[] };
    for (const { name, user_ids } of events) this.told.push(`${name} ${user_ids.join(',')}`);
  }
}

let signals: Signals;
let bus: MemoryBus;
let store: Store;
let watchlists: Watchlists;
let ada: Listener;

beforeEach(() => {
  signals = new Signals();
  bus = new MemoryBus(new MemoryWire(), 'one', () => undefined);
  store = new Store();
  watchlists = new Watchlists({ bus, signals, occupancy: store });
  ada = new Listener();
});

const hears = (type: 'user-online' | 'user-offline', user: string): Promise<unknown> =>
  signal(bus, signals, '101', `#user-${user}`, { type, user });

test('a signal that comes while the store is asked is newer than its answer', async () => {
  store.held = true;
  const watching = watchlists.watch(ada, ['bob', 'cyd']);
  await expect.poll(() => store.asked).toBe(1);
  await hears('user-online', 'bob');
  await hears('user-offline', 'cyd');
  store.answer();
  await watching;
  expect(ada.told).toEqual(['online bob', 'offline cyd']);
});

test('a lost signal is made good, and told once', async () => {
  await watchlists.watch(ada, ['bob']);
  store.signedIn.add('bob');
  await watchlists.reconcile();
  await watchlists.reconcile();
  await hears('user-online', 'bob');
  expect(ada.told).toEqual(['offline bob', 'online bob']);
});

test('without the store nobody is taken for gone', async () => {
  store.signedIn.add('bob');
  await watchlists.watch(ada, ['bob']);
  store.signedIn.delete('bob');
  store.reached = false;
  await watchlists.reconcile();
  expect(ada.told).toEqual(['online bob']);
});

test('the same list again asks nobody; another one replaces it; none ends it', async () => {
  await watchlists.watch(ada, ['bob']);
  await watchlists.watch(ada, ['bob']);
  expect(store.asked).toBe(1);
  await watchlists.watch(ada, ['cyd']);
  await hears('user-online', 'bob');
  await watchlists.watch(ada, []);
  await hears('user-online', 'cyd');
  expect(ada.told).toEqual(['offline bob', 'offline cyd']);
});

test('who leaves while the store is asked is told nothing', async () => {
  store.held = true;
  const watching = watchlists.watch(ada, ['bob']);
  await expect.poll(() => store.asked).toBe(1);
  watchlists.unwatch(ada);
  store.answer();
  await watching;
  await hears('user-online', 'bob');
  expect(ada.told).toEqual([]);
});
