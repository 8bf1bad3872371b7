import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { startRedis } from '#test/parts/redis.ts';
import { redisReplica, streamed } from './worlds.ts';
import type { FakeSocket, Replica } from './replica.ts';

/**
 * Random sockets, replicas and faults against a model that is one list: who is where. When nothing happens any more, every client's members,
 * every count and the last word of the webhooks on everything they ever mentioned must be the model's.
 */
const ROOMS = ['presence-x', 'presence-y'] as const;
const USERS = ['a', 'b', 'c'] as const;
const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('join'), at: fc.nat(2), user: fc.nat(2), room: fc.nat(1) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('go'), pick: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill'), at: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('silence') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle') }) },
);
type Step = { do: string; at?: number; user?: number; room?: number; pick?: number };
type Present = { readonly at: Replica; readonly socket: FakeSocket; readonly user: string; readonly room: string };

test('whatever dies, is lost or is cut: in the end all know what is', async () => {
  await using server = await startRedis();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array<Step>(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      run += 1;
      const appId = String(run);
      await using stack = new AsyncDisposableStack();
      let boots = 0;
      const boot = async (): Promise<Replica> => stack.use(await redisReplica(server.url, `${run}-${(boots += 1)}`));
      const replicas = [await boot(), await boot(), await boot()];
      let present: Present[] = [];
      let joins: Promise<unknown>[] = [];
      for (const { do: what, at: index = 0, user: userIndex = 0, room: roomIndex = 0, pick = 0 } of steps) {
        const at = replicas[index];
        if (what === 'join' && at !== undefined) {
          const [socket, user, room] = [at.connect(appId), USERS[userIndex] ?? 'a', ROOMS[roomIndex] ?? ROOMS[0]];
          present.push({ at, socket, user, room });
          joins.push(at.joinAs(socket, room, user));
        } else if (what === 'go' && present.length > 0) {
          const [gone] = present.splice(pick % present.length, 1);
          gone?.at.disconnect(gone.socket);
        } else if (what === 'kill' && at !== undefined) {
          at.kill();
          present = present.filter((one) => one.at !== at);
          replicas[index] = await boot();
        } else if (what === 'flush') await server.command('FLUSHALL');
        else if (what === 'restart') {
          await server.kill9();
          await server.start();
        } else if (what === 'silence') await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
        else if (what === 'settle') {
          await Promise.all(joins);
          joins = [];
        }
      }
      await Promise.all(joins);

      const inRoom = (room: string): string[] =>
        [...new Set(present.filter((one) => one.room === room).map(({ user }) => user))].toSorted();
      const truth = new Set(present.flatMap(({ room, user }) => [room, `${room} ${user}`]));
      await eventually(
        async () => {
          for (const at of replicas) {
            expect(at.faults).toEqual([]);
            expect((await at.state.occupancy.connections(appId)).value).toBe(present.length);
            for (const room of ROOMS) {
              const sockets = present.filter((one) => one.room === room).length;
              expect((await at.state.occupancy.subscriptions(appId, room)).value).toBe(sockets);
              expect(await at.members(appId, room)).toEqual(inRoom(room));
            }
          }
          for (const { socket, room } of present) expect(socket.members(room)).toEqual(inRoom(room));
          const last = new Map<string, boolean>();
          for (const event of await streamed(server.command.bind(server), appId)) {
            const [name = '', ...subject] = event.split(' ');
            last.set(subject.join(' '), name === 'channel_occupied' || name === 'member_added');
          }
          for (const [subject, isThere] of last) expect([subject, isThere]).toEqual([subject, truth.has(subject)]);
          return true;
        },
        { timeout: 12_000, interval: 50 },
      );
    }),
    { numRuns: 15, endOnFailure: false },
  );
}, 180_000);
