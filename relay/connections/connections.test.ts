import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectionAnswers, Connections, type ListedSocket } from './connections.ts';

type Fields = { readonly id: string; readonly userId?: string | undefined; readonly channels?: readonly string[] };

const closed: string[] = [];
const socket = ({ id, userId, channels = [] }: Fields): ListedSocket => ({
  id,
  connectedAt: 0,
  client: 'js 8.6.0',
  userId,
  channels: () => channels,
  refuse: () => closed.push(id),
});

/** Connections over replicas that each have some sockets. */
function over(...replicas: (readonly Fields[])[]): Connections {
  const answerers = replicas.map((fields, index) => {
    const sockets = fields.map(socket);
    const of = (keep: (one: ListedSocket) => boolean): ListedSocket[] => sockets.filter(keep);
    return connectionAnswers(
      {
        ofApp: () => sockets,
        ofChannel: (_appId, channel) =>
          of((one) => [...one.channels()].includes(channel) || channel === `#user-${one.userId}`),
      },
      `relay-${index}`,
    );
  });
  return new Connections({
    ask: (appId, about, asked) =>
      Promise.resolve({
        answers: new Map(answerers.map((answerer, index) => [`relay-${index}`, answerer[about]?.(appId, asked)])),
        silent: [],
      }),
  });
}

const page = { after: '', limit: 2, channel: undefined, user: undefined };

describe('connections over all replicas', () => {
  test('pages by socket id, over replicas, are complete and have no double', async () => {
    const ids = fc.uniqueArray(
      fc.integer({ min: 0, max: 99_999 }).map((n) => `${n}.1`),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(ids, fc.integer({ min: 1, max: 7 }), async (all, limit) => {
        const connections = over(
          all.filter((_, index) => index % 2 === 0).map((id) => ({ id })),
          all.filter((_, index) => index % 2 === 1).map((id) => ({ id })),
        );
        const seen: string[] = [];
        for (let after: string | null = ''; after !== null;) {
          const { connections: found, next } = await connections.list('101', { ...page, after, limit });
          expect(found.length).toBeLessThanOrEqual(limit);
          seen.push(...found.map(({ socket_id: id }) => id));
          after = next;
        }
        expect(seen).toEqual(all.toSorted());
      }),
    );
  });

  test('filters by channel, by user, and by both', async () => {
    const connections = over(
      [
        { id: '1.1', userId: 'ada', channels: ['a'] },
        { id: '2.1', channels: ['a'] },
      ],
      [{ id: '3.1', userId: 'ada', channels: ['b'] }, { id: '4.1' }],
    );
    const ids = async (filter: { channel?: string; user?: string }): Promise<string[]> =>
      (await connections.list('101', { ...page, limit: 9, ...filter })).connections.map(({ socket_id: id }) => id);
    expect(await ids({})).toEqual(['1.1', '2.1', '3.1', '4.1']);
    expect(await ids({ channel: 'a' })).toEqual(['1.1', '2.1']);
    expect(await ids({ user: 'ada' })).toEqual(['1.1', '3.1']);
    expect(await ids({ user: 'ada', channel: 'b' })).toEqual(['3.1']);
  });

  test('a socket with very many channels shows a hundred and how many there are', async () => {
    const channels = Array.from({ length: 150 }, (_, n) => `c${n}`);
    const { connections: found } = await over([{ id: '1.1', channels }]).list('101', page);
    expect(found[0]?.channels).toEqual(channels.slice(0, 100));
    expect(found[0]?.channel_count).toBe(150);
  });

  test('disconnecting closes that one and says whether there was one', async () => {
    const connections = over([{ id: '1.1' }], [{ id: '2.1' }]);
    expect(await connections.disconnect('101', '2.1')).toBe('closed');
    expect(await connections.disconnect('101', '9.1')).toBe('unknown');
    expect(closed).toEqual(['2.1']);
  });
});
