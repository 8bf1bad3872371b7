import { expect, test } from 'vitest';
import { MemoryBus, MemoryWire } from '../bus/memory.ts';
import { Signals } from '../bus/signals.ts';
import type { User } from '../protocol/user-data.ts';
import { SocketRegistry } from '../server/socket-registry.ts';
import { Users, type UserSocket } from './users.ts';
import { Watchlists } from './watchlists.ts';

const BOB: User = { id: 'bob', info: 'null', watchlist: [], watchlistCut: false };

test('a socket that signs in twice has its success when the bus hears of its user, not before', async () => {
  const subscribed = Promise.withResolvers<'subscribed'>();
  class SlowBus extends MemoryBus {
    override async subscribe(appId: string, channel: string): Promise<'subscribed' | 'degraded'> {
      await subscribed.promise;
      return super.subscribe(appId, channel);
    }
  }
  const bus = new SlowBus(new MemoryWire(), 'one', () => undefined);
  const occupancy = {
    changed: () => undefined,
    online: () => Promise.resolve({ value: new Set<string>(), reached: true }),
  };
  const users = new Users({
    registry: new SocketRegistry<UserSocket>(),
    bus,
    occupancy,
    watchlists: new Watchlists({ bus, signals: new Signals(), occupancy }),
    directory: { appById: () => undefined },
  });
  const sent: string[] = [];
  const socket: UserSocket = { id: '1.2', appId: '101', send: (text) => sent.push(text), sendFrame: () => undefined };
  let current = BOB;
  const signIn = (user: User, former: User | undefined): Promise<void> => {
    current = user;
    return users.signIn(socket, { user, userData: '{"id":"bob"}', former, isCurrent: () => current === user });
  };
  const first = signIn(BOB, undefined);
  const second = signIn({ ...BOB }, BOB);
  await Promise.resolve();
  expect(sent).toEqual([]);
  subscribed.resolve('subscribed');
  await Promise.all([first, second]);
  expect(sent).toHaveLength(1);
  await signIn({ ...BOB }, BOB);
  expect(sent).toHaveLength(2);
});
