import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { REAPED, type Applied, type Item, type OccupancyStore, type Write } from '#relay/occupancy/store.ts';
import { eventually } from '#test/parts/eventually.ts';
import { ALL_WEBHOOKS, clusterWorld, memoryWorld, redisWorld, type Timing, type World } from './worlds.ts';

const ROOM = 'presence-room';
/** Long enough to look while something is held back. */
const TIMING: Timing = { holdMs: 300, leaseMs: 700, beatMs: 100 };

const item = (field: string, count: number, more: Partial<Item> = {}): Item => ({
  field,
  count,
  info: '1',
  limit: undefined,
  claim: 0,
  ...more,
});
const write = (expected: string, next: string, items: readonly Item[], more: Partial<Write> = {}): Write => ({
  expected,
  next,
  restoring: false,
  items,
  rosters: [],
  rules: ALL_WEBHOOKS,
  ...more,
});

describe.each([
  ['memory', () => Promise.resolve<World>(memoryWorld(TIMING))],
  ['one Redis, as the documented user', () => redisWorld(TIMING)],
  ['Redis Cluster', () => clusterWorld(TIMING)],
])('the store in %s', (_name, start) => {
  let world: World;
  let one: OccupancyStore;
  let two: OccupancyStore;
  let run = 0;
  let app = '';
  beforeAll(async () => {
    world = await start();
    [one, two] = [await world.store('one'), await world.store('two')];
  });
  beforeEach(() => {
    run += 1;
    app = String(run);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const apply = async (
    store: OccupancyStore,
    ...args: Parameters<typeof write>
  ): Promise<Extract<Applied, { outcome: 'applied' }>> => {
    const answer = await store.apply(app, write(...args));
    if (answer?.outcome !== 'applied') throw new Error('the write was not applied');
    return answer;
  };
  const settle = (): Promise<unknown> => one.settle(app, ALL_WEBHOOKS);
  const version = async (): Promise<number> => (await one.rosterHeads(app, [ROOM]))?.[0]?.version ?? 0;

  test('numbers are absolute: the same ones again change nothing, and a write under another mark neither', async () => {
    await apply(one, '', '1', [item('orders', 2), item('#', 3)]);
    await apply(one, '1', '2', [item('orders', 2), item('#', 3)]);
    await apply(two, '', '1', [item('orders', 5)]);
    expect(await two.apply(app, write('', '2', [item('orders', 9)]))).toEqual({ outcome: 'stale' });
    expect(await one.total(app, ['orders', '#', 'none'])).toEqual([7, 3, 0]);
    expect(await two.own(app)).toEqual({ mark: '1', counts: new Map([['orders', 5]]) });
    expect(await one.marks([app, 'never seen'])).toEqual(['2', '']);
    expect((await one.holders(app))?.toSorted()).toEqual(['one', 'two']);
    await apply(one, '2', '3', [item('orders', 0), item('#', 0)]);
    expect(await two.holders(app)).toEqual(['two']);
    expect(await two.totals(app)).toEqual(new Map([['orders', 5]]));
    // The mark outlives the numbers, so that a write which was long under way is known to be late.
    expect(await one.apply(app, write('', '1', [item('orders', 2)]))).toEqual({ outcome: 'stale' });
  });

  test('a roster’s version counts who comes and goes, not connections, and goes on when it was empty', async () => {
    const member = (count: number): Item => item(`${ROOM}\nann`, count);
    const { rosters } = await apply(one, '', '1', [member(1)], { rosters: [ROOM, 'presence-other'] });
    const first = rosters.get(ROOM)?.version ?? 0;
    expect(rosters.get(ROOM)).toEqual({ version: first, members: new Map([['ann', '1']]), youngMs: 0 });
    expect(rosters.get('presence-other')).toEqual({ version: 0, members: new Map(), youngMs: 0 });
    await apply(one, '1', '2', [member(2)]);
    await apply(two, '', '1', [member(1)]);
    await apply(one, '2', '3', [member(0)]);
    expect(await version()).toBe(first);
    await apply(two, '1', '2', [item(`${ROOM}\nbob`, 1)]);
    expect(await version()).toBeGreaterThan(first);
    await apply(two, '2', '3', [member(0), item(`${ROOM}\nbob`, 0)]);
    expect(await one.roster(app, ROOM)).toEqual({ version: 0, members: new Map(), youngMs: 0 });
    await apply(one, '3', '4', [member(1)]);
    expect(await version()).toBeGreaterThan(first + 3);
  });

  test('limits: of members who are new, of connections that are asked for', async () => {
    const limit = { limit: 1 };
    const answer = await apply(one, '', '1', [item(`${ROOM}\nann`, 1, limit), item(`${ROOM}\nbob`, 1, limit)]);
    expect(answer.refused).toEqual(new Set([`${ROOM}\nbob`]));
    expect((await apply(two, '', '1', [item(`${ROOM}\nann`, 1, limit)])).refused).toEqual(new Set());
    const claim = await apply(one, '1', '2', [item('#', 2, { limit: 5, claim: 2 })]);
    expect([claim.granted, claim.connections]).toEqual([2, 4]);
    const claimToo = await apply(two, '1', '2', [item('#', 0, { limit: 5, claim: 3 })]);
    expect([claimToo.granted, claimToo.connections]).toEqual([1, 5]);
  });

  test('what goes is announced after the hold, and not at all if it is back', async () => {
    await apply(one, '', '1', [item('orders', 1), item('news', 1)]);
    const gone = await apply(one, '1', '2', [item('orders', 0), item('news', 0)]);
    expect(gone.enqueued).toBe(0);
    expect(gone.dueInMs).toBeGreaterThan(0);
    expect(gone.dueInMs).toBeLessThanOrEqual(TIMING.holdMs);
    expect((await apply(two, '', '1', [item('news', 1)])).enqueued).toBe(0);
    await settle();
    expect(await world.webhooks(app)).toEqual(['channel_occupied orders', 'channel_occupied news']);
    await eventually(async () => {
      await settle();
      return (await world.webhooks(app)).length > 2;
    });
    expect(await settle()).toEqual({ enqueued: 0, dueInMs: undefined });
    expect((await world.webhooks(app)).slice(2)).toEqual(['channel_vacated orders']);
  });

  test('after a loss nothing is announced before all had the time to tell again', async () => {
    const all = [item('orders', 1), item(`${ROOM}\nann`, 1), item('#user-7', 1)];
    await apply(one, '', '1', all);
    await apply(two, '', '1', all);
    await world.lose();
    await apply(one, '', '2', all, { restoring: true });
    // Before two has told anything again: one's user goes, and somebody comes to where only two had anybody.
    const gone = await apply(one, '2', '3', [...all.map(({ field }) => item(field, 0)), item('news', 1)], {
      rosters: [ROOM],
    });
    expect(gone.enqueued).toBe(0);
    expect(gone.rosters.get(ROOM)?.youngMs).toBeGreaterThan(0);
    // Longer than the hold, and not yet a lease.
    const later = TIMING.leaseMs - TIMING.holdMs - 50;
    await eventually(async () => ((await one.roster(app, ROOM))?.youngMs ?? 0) < later);
    expect(await settle()).toMatchObject({ enqueued: 0 });
    await apply(two, '', '2', [...all, item('news', 1)], { restoring: true });
    await eventually(async () => (await one.roster(app, ROOM))?.youngMs === 0);
    await eventually(async () => {
      await settle();
      return (await apply(one, await markOf(one), '9', [])).dueInMs === undefined;
    });
    expect(await world.webhooks(app)).toEqual([]);
    expect(await one.totals(app)).toEqual(
      new Map([
        ['orders', 1],
        ['news', 2],
        ['#user-7', 1],
      ]),
    );
  });
  const markOf = async (store: OccupancyStore): Promise<string> => (await store.own(app))?.mark ?? '';

  test('a dead replica: who it was is known, its numbers are taken back, and what it writes later is stale', async () => {
    const dead = await world.store(`dead-${app}`);
    await dead.touch([app]);
    const fields = Array.from({ length: 1_300 }, (_, n) => item(`channel-${n}`, 1));
    // Not one beat: it died right after it began.
    await apply(dead, '', '1', [...fields, item(`${ROOM}\nann`, 1), item('#', 1)]);
    await apply(one, '', '1', [item('channel-7', 1)]);
    const beat = await eventually(async () => {
      const answer = await one.beat();
      return answer?.dead.includes(dead.replica) === true && answer;
    });
    expect(beat.silent).toContain(dead.replica);
    expect(await one.appsOfDead(dead.replica)).toEqual([app]);
    expect(await two.appsOfDead(dead.replica)).toBeUndefined();
    await eventually(async () => (await one.reap(app, dead.replica, ALL_WEBHOOKS))?.done);
    expect(await one.totals(app)).toEqual(new Map([['channel-7', 1]]));
    expect(await dead.apply(app, write('1', '2', [item('orders', 1)]))).toEqual({ outcome: 'stale' });
    expect(await dead.own(app)).toEqual({ mark: REAPED, counts: new Map() });
    await one.bury(dead.replica);
    expect((await one.beat())?.dead).not.toContain(dead.replica);
    expect(await two.appsOfDead(dead.replica)).toEqual([]);
    // It was not dead.
    await apply(dead, REAPED, '2', [item('orders', 1)]);
    expect((await dead.beat())?.apps).toBe(0);
  });

  test('whoever speaks again is not forgotten', async () => {
    const back = await world.store(`back-${app}`);
    await back.touch([app]);
    await back.beat();
    await one.bury(back.replica);
    expect((await back.beat())?.apps).toBe(1);
    await back.leave();
    expect((await back.beat())?.apps).toBe(0);
    await back.leave();
  });
});
