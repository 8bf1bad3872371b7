import { connectRedis as connectOperatorRedis, whenReady } from '#operator/redis/connection.ts';
import { createDirectoryStore } from '#operator/redis/directory-store.ts';
import { connectRedis as connectRelayRedis } from '#relay/redis/connection.ts';
import { createDirectoryFeed } from '#relay/redis/directory-feed.ts';
import { directoryLinkContract } from '#test/contracts/directory-link.ts';
import { startRedis } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { keys, silentLog } from './installation.ts';

directoryLinkContract(async () => {
  const server = await startRedis({ acl: await documentedUsers() });
  const log = silentLog();
  const operator = withUser(server.url, 'relay-operator');
  const relay = withUser(server.url, 'relay');
  const connections = [
    connectOperatorRedis({ url: operator, log, name: 'directory' }),
    connectOperatorRedis({ url: operator, log, name: 'reports' }),
    connectRelayRedis({ url: relay, log, name: 'directory' }),
    connectRelayRedis({ url: relay, log, name: 'log', commandTimeoutMs: 10_000 }),
  ] as const;
  for (const connection of connections) await whenReady(connection, AbortSignal.timeout(5_000));
  const [redis, subscriber, relayRedis, blocking] = connections;
  return {
    store: createDirectoryStore({ redis, subscriber, keys }),
    feed: createDirectoryFeed({ redis: relayRedis, blocking, keys }),
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
});
