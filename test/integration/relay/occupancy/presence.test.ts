import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { startReplicas, worlds, type World } from './worlds.ts';
import type { FakeSocket, Replica } from './replica.ts';

const ROOM = 'presence-room';

describe.each(worlds)('presence over %s', (_name, start) => {
  let world: World;
  let app = 100;
  const alive: Replica[] = [];
  const replicas = async (count: number): Promise<[Replica, Replica, ...Replica[]]> => {
    const made = await startReplicas(world, String(app), count);
    alive.push(...made);
    return made;
  };
  beforeAll(async () => {
    world = await start();
  });
  afterEach(async () => {
    await Promise.all(alive.splice(0).map((one) => one[Symbol.asyncDispose]()));
    app += 1;
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test('a user is told when it comes first and when it goes last, over all replicas', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const [watcher, a1, a2, b] = [one.connect(appId), one.connect(appId), two.connect(appId), two.connect(appId)];
    await one.joinAs(watcher, ROOM, 'watcher');
    await Promise.all([one.joinAs(a1, ROOM, 'ann'), two.joinAs(a2, ROOM, 'ann'), two.joinAs(b, ROOM, 'bob')]);
    for (const socket of [watcher, a1, a2, b]) {
      await eventually(() => expect(socket.members(ROOM)).toEqual(['ann', 'bob', 'watcher']) ?? true);
    }
    expect(await two.members(appId, ROOM)).toEqual(['ann', 'bob', 'watcher']);
    expect((await one.state.presence.userCounts(appId, [ROOM, 'presence-none'])).value).toEqual(
      new Map([
        [ROOM, 3],
        ['presence-none', 0],
      ]),
    );
    one.disconnect(a1);
    two.disconnect(b);
    await eventually(() => expect(watcher.members(ROOM)).toEqual(['ann', 'watcher']) ?? true);
    two.disconnect(a2);
    await eventually(() => expect(watcher.members(ROOM)).toEqual(['watcher']) ?? true);
    await eventually(
      async () => (await world.webhooks(appId)).filter((line) => line.startsWith('member_removed')).length === 2,
    );
    const events = (await world.webhooks(appId)).filter((line) => line.startsWith('member')).toSorted();
    expect(events).toEqual([
      `member_added ${ROOM} ann`,
      `member_added ${ROOM} bob`,
      `member_added ${ROOM} watcher`,
      `member_removed ${ROOM} ann`,
      `member_removed ${ROOM} bob`,
    ]);
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('what a user says of itself arrives, and odd ids are ids', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const ids = ['v', '__proto__', 'constructor', '😀/\\"\'', 'line\nfeed', '#', 'x'.repeat(128)];
    for (const id of ids) await one.joinAs(one.connect(appId), ROOM, id);
    const socket = two.connect(appId);
    await two.joinAs(socket, ROOM, 'me');
    expect(socket.members(ROOM)).toEqual([...ids, 'me'].toSorted());
    const { value } = await two.state.presence.members(appId, ROOM);
    expect(value.find(({ userId }) => userId === '😀/\\"\'')?.info).toBe(JSON.stringify({ name: '😀/\\"\'' }));
    expect(await one.members(appId, ROOM)).toEqual([...ids, 'me'].toSorted());
    expect([one.faults, two.faults]).toEqual([[], []]);
  });

  test('the limit is exact over replicas that join at the same time', async () => {
    const all = await replicas(3);
    const appId = String(app);
    const joined = await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        const at = all[n % 3] ?? all[0];
        return at.joinAs(at.connect(appId), ROOM, `user-${n % 20}`, 7);
      }),
    );
    expect(await all[0].members(appId, ROOM)).toHaveLength(7);
    // Every socket of a user who is in is in.
    expect(joined.filter(Boolean).length).toBe(21);
    const [first] = await all[1].members(appId, ROOM);
    expect(await all[1].joinAs(all[1].connect(appId), ROOM, first ?? '', 7)).toBe(true);
    expect(await all[1].joinAs(all[1].connect(appId), ROOM, 'one more', 7)).toBe(false);
    expect(all.flatMap(({ faults }) => faults)).toEqual([]);
  });

  test('a reload of a page is no news for webhooks', async () => {
    const [one, two] = await replicas(2);
    const appId = String(app);
    const watcher = two.connect(appId);
    await two.joinAs(watcher, ROOM, 'watcher');
    const before = one.connect(appId);
    await one.joinAs(before, ROOM, 'ann');
    await eventually(() => watcher.members(ROOM).length === 2);
    one.disconnect(before);
    await eventually(() => watcher.members(ROOM).length === 1);
    const after = one.connect(appId);
    await one.joinAs(after, ROOM, 'ann');
    await eventually(() => watcher.members(ROOM).length === 2);
    one.disconnect(after);
    await eventually(async () => (await world.webhooks(appId)).includes(`member_removed ${ROOM} ann`));
    const events = (await world.webhooks(appId)).filter((line) => line.endsWith('ann'));
    expect(events).toEqual([`member_added ${ROOM} ann`, `member_removed ${ROOM} ann`]);
  });

  test('however joins and leaves interleave over replicas: each is told once, and in the end all agree', async () => {
    const all = await replicas(3);
    const move = fc.record({
      at: fc.nat(2),
      user: fc.constantFrom('a', 'b', 'c', 'd'),
      room: fc.constantFrom('presence-x', 'presence-y'),
      pause: fc.boolean(),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
        run += 1;
        const appId = `${app}0${run}`;
        const here = new Map<string, { at: Replica; socket: FakeSocket; user: string; room: string }>();
        const joins: Promise<boolean>[] = [];
        for (const { at: index, user, room, pause } of moves) {
          const at = all[index] ?? all[0];
          const key = `${index} ${user} ${room}`;
          const known = here.get(key);
          if (known === undefined) {
            const socket = at.connect(appId);
            here.set(key, { at, socket, user, room });
            joins.push(at.joinAs(socket, room, user));
          } else {
            at.disconnect(known.socket);
            here.delete(key);
          }
          if (pause) await Promise.all(joins);
        }
        await Promise.all(joins);
        const inRoom = (room: string): string[] => [
          ...new Set([...here.values()].filter((one) => one.room === room).map(({ user }) => user)),
        ];
        for (const { socket, room } of here.values()) {
          await eventually(() => expect(socket.members(room)).toEqual(inRoom(room).toSorted()) ?? true);
        }
        for (const at of all) {
          await eventually(async () => {
            expect((await at.state.occupancy.connections(appId)).value).toBe(here.size);
            for (const room of ['presence-x', 'presence-y']) {
              const sockets = [...here.values()].filter((one) => one.room === room).length;
              expect((await at.state.occupancy.subscriptions(appId, room)).value).toBe(sockets);
              expect(await at.members(appId, room)).toEqual(inRoom(room).toSorted());
            }
            return true;
          });
        }
        expect(all.flatMap(({ faults }) => faults)).toEqual([]);
        await eventually(
          async () => expect(collapsed(await world.webhooks(appId))).toEqual(states(here.values())) ?? true,
        );
        for (const { at, socket } of here.values()) at.disconnect(socket);
      }),
      { numRuns: 12 },
    );
  });
});

/** What webhooks say in the end of each member and channel. Two of the same in a row are a fault. */
function collapsed(events: readonly string[]): string[] {
  const last = new Map<string, boolean>();
  for (const event of events) {
    const [name = '', ...rest] = event.split(' ');
    const subject = rest.join(' ');
    const isThere = name === 'channel_occupied' || name === 'member_added';
    if ((last.get(subject) ?? false) === isThere) throw new Error(`${event} is told twice`);
    last.set(subject, isThere);
  }
  return [...last].flatMap(([subject, isThere]) => (isThere ? [subject] : [])).toSorted();
}

function states(sockets: Iterable<{ readonly user: string; readonly room: string }>): string[] {
  return [...new Set([...sockets].flatMap(({ user, room }) => [room, `${room} ${user}`]))].toSorted();
}
