import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Rules } from '#relay/occupancy/store.ts';
import { eventually } from '#test/parts/eventually.ts';
import { startReplicas, worlds, type World } from './worlds.ts';
import type { Replica } from './replica.ts';

describe.each(worlds)('counts over %s', (_name, start) => {
  let world: World;
  let app = 100;
  const alive: Replica[] = [];
  const replicas = async (count: number, rules?: Rules): Promise<[Replica, Replica, ...Replica[]]> => {
    const made = await startReplicas(world, String(app), count, rules);
    alive.push(...made);
    return made;
  };
  beforeAll(async () => {
    world = await start();
  });
  afterEach(async () => {
    await Promise.all(alive.splice(0).map((one) => one[Symbol.asyncDispose]()));
    app += 2;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test('every replica sees all, its own numbers at once, and other apps not at all', async () => {
    const [one, two, three] = await replicas(3);
    const appId = String(app);
    for (const at of [one, one, two]) await at.join(at.connect(appId), 'orders');
    await two.join(two.connect(appId), '__proto__');
    await two.join(two.connect(String(app + 1)), 'other-app');
    expect(new Map(Object.entries(await two.channels(appId))).get('__proto__')).toBe(1);
    await eventually(async () => expect(await three?.channels(appId)).toHaveProperty('orders', 3) ?? true);
    const all = (await three?.state.occupancy.channels(appId))?.value;
    expect(all).toEqual(
      new Map([
        ['orders', 3],
        ['__proto__', 1],
      ]),
    );
    expect(await one.state.occupancy.subscriptions(appId, 'orders')).toEqual({ value: 3, reached: true });
    expect(await one.state.occupancy.subscriptions(appId, 'nothing')).toEqual({ value: 0, reached: true });
    expect(await three?.state.occupancy.connections(appId)).toEqual({ value: 4, reached: true });
    expect((await three?.state.occupancy.replicas(appId))?.value.toSorted()).toEqual([one.name, two.name]);
  });

  test('leaving and going away count down to nothing', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const [first, second] = [one.connect(appId), one.connect(appId)];
    for (const socket of [first, second]) await one.join(socket, 'orders');
    await eventually(async () => (await two.channels(appId))['orders'] === 2);
    one.leave(first, 'orders');
    await eventually(async () => (await two.channels(appId))['orders'] === 1);
    one.disconnect(second);
    one.disconnect(first);
    await eventually(async () => expect(await two.channels(appId)).toEqual({}) ?? true);
    await eventually(async () => (await two.state.occupancy.replicas(appId)).value.length === 0);
    // What is left of it is only its mark.
    await one.join(one.connect(appId), 'again');
    await eventually(async () => (await two.channels(appId))['again'] === 1);
  });

  test('a quota is exact over replicas that connect at the same time, and whoever is refused turns nobody away', async () => {
    const all = await replicas(3);
    const appId = String(app);
    const attempts = Array.from({ length: 60 }, (_, n) => (all[n % 3] ?? all[0]).admit(appId, 10));
    const admitted = (await Promise.all(attempts)).filter((socket) => socket !== undefined);
    expect(admitted).toHaveLength(10);
    expect(await all[0].admit(appId, 10)).toBeUndefined();
    expect(await all[1].admit(appId, 11)).toBeDefined();
  });

  test('a goodbye takes everything with it', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const socket = one.connect(appId);
    for (let n = 0; n < 1_200; n += 1) await one.join(socket, `channel-${n}`);
    await eventually(async () => Object.keys(await two.channels(appId)).length === 1_200);
    await one[Symbol.asyncDispose]();
    alive.splice(alive.indexOf(one), 1);
    expect(await two.channels(appId)).toEqual({});
    expect((await two.state.occupancy.connections(appId)).value).toBe(0);
  });

  test('webhooks: occupied once, vacated once and only after the hold, and a reload tells nothing', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const [here, there] = [one.connect(appId), two.connect(appId)];
    await Promise.all([one.join(here, 'orders'), two.join(there, 'orders')]);
    await eventually(async () => expect(await world.webhooks(appId)).toEqual(['channel_occupied orders']) ?? true);
    one.leave(here, 'orders');
    await eventually(async () => (await two.channels(appId))['orders'] === 1);
    two.leave(there, 'orders');
    await eventually(async () => (await one.channels(appId))['orders'] === undefined);
    await one.join(here, 'orders');
    await eventually(async () => (await two.channels(appId))['orders'] === 1);
    one.leave(here, 'orders');
    // The reload was no vacancy: the next event is the vacancy of now.
    await eventually(async () => (await world.webhooks(appId)).length > 1);
    expect(await world.webhooks(appId)).toEqual(['channel_occupied orders', 'channel_vacated orders']);
  });

  test('users are online from their first socket to their last, and those who listen hear it once', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    await Promise.all([one.listen(appId, '#user-7'), two.listen(appId, '#user-7')]);
    const [first, second, third] = [one.connect(appId), one.connect(appId), two.connect(appId)];
    const heard = (at: Replica): unknown[] =>
      at.heard.map((line) => JSON.parse(line.slice('#user-7 '.length)) as unknown);
    const online = async (at: Replica): Promise<string[]> => [
      ...(await at.state.occupancy.online(appId, ['7', '8'])).value,
    ];
    expect(await online(two)).toEqual([]);
    await Promise.all([one.join(first, '#user-7'), one.join(second, '#user-7'), two.join(third, '#user-7')]);
    for (const at of [one, two]) {
      await eventually(async () => (await at.state.occupancy.subscriptions(appId, '#user-7')).value === 3);
      await eventually(() => heard(at).length > 0);
      expect([await online(at), heard(at)]).toEqual([['7'], [{ type: 'user-online', user: '7' }]]);
    }
    expect(await two.channels(appId)).toEqual({});
    one.disconnect(first);
    two.disconnect(third);
    await eventually(async () => (await two.state.occupancy.subscriptions(appId, '#user-7')).value === 1);
    one.disconnect(second);
    for (const at of [one, two]) {
      await eventually(() => heard(at).length > 1);
      expect([await online(at), heard(at).slice(1)]).toEqual([[], [{ type: 'user-offline', user: '7' }]]);
    }
  });

  test('subscribers are told their number at every change up to 100, and then not at each', async () => {
    const rules: Rules = { webhooks: new Set(['subscription_count']), subscriptionCounts: true };
    const [one, two] = await replicas(2, rules);
    const appId = String(app);
    const socket = one.connect(appId);
    await one.join(socket, 'orders');
    const told = (count: number): string =>
      `orders "event":"pusher_internal:subscription_count","data":${JSON.stringify(`{"subscription_count":${count}}`)}}`;
    await eventually(() => one.heard.includes(told(1)));
    await two.join(two.connect(appId), 'orders');
    await eventually(() => one.heard.includes(told(2)) && two.heard.includes(told(2)));
    for (let n = 0; n < 200; n += 1) await two.join(two.connect(appId), 'orders');
    await eventually(async () => (await one.channels(appId))['orders'] === 202);
    await one.join(socket, 'presence-x');
    await eventually(async () => (await two.channels(appId))['presence-x'] === 1);
    const counts = (await world.webhooks(appId)).map((line) => Number(line.split(' ')[2]));
    expect(counts.slice(0, 2)).toEqual([1, 2]);
    expect(counts.filter((count) => count > 100).length).toBeLessThanOrEqual(1);
    expect(one.heard.some((line) => line.startsWith('presence-x'))).toBe(false);
  });
});
