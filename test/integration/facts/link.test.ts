import { describe } from 'vitest';
import { factKeys } from '#crds/facts/redis-keys.ts';
import { connectRedis as connectOperatorRedis, whenReady } from '#operator/redis/connection.ts';
import { createFactStream } from '#operator/redis/fact-stream.ts';
import { MemoryFacts } from '#relay/facts/memory.ts';
import { connectRedis as connectRelayRedis } from '#relay/redis/connection.ts';
import { RedisFactSink } from '#relay/redis/fact-sink.ts';
import { factLinkContract, type FactLink } from '#test/contracts/fact-link.ts';
import { startCluster } from '#test/parts/redis-topologies.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { silentLog } from '../directory/installation.ts';

async function overRedis(
  { operator, relay }: { readonly operator: string; readonly relay: string },
  nodes: readonly RedisServer[],
  stack: AsyncDisposableStack,
): Promise<FactLink> {
  const log = silentLog();
  const reading = stack.adopt(connectOperatorRedis({ url: operator, log, name: 'facts' }), (it) => it.disconnect());
  const telling = stack.adopt(connectRelayRedis({ url: relay, log, name: 'facts' }), (it) => it.disconnect());
  for (const connection of [reading, telling]) await whenReady(connection, AbortSignal.timeout(30_000));
  const keys = factKeys('shared:');
  return {
    sink: new RedisFactSink({ client: telling, keys, now: () => performance.now() }),
    stream: createFactStream(reading, keys),
    lose: async () => void (await Promise.all(nodes.map((node) => node.command('FLUSHALL')))),
    goAway: async () => void (await Promise.all(nodes.map((node) => node.kill9()))),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const links: readonly (readonly [name: string, open: () => Promise<FactLink>])[] = [
  [
    'memory',
    async () => {
      const facts = new MemoryFacts();
      return {
        sink: facts,
        stream: facts,
        lose: async () => facts.lose(),
        goAway: async () => facts.goAway(),
        [Symbol.asyncDispose]: async () => {},
      };
    },
  ],
  [
    'one Redis, as the documented users with a prefix',
    async () => {
      const stack = new AsyncDisposableStack();
      const acl = (await documentedUsers()).map((line) => line.replaceAll('{rly:', 'shared:{rly:'));
      const redis = stack.use(await startRedis({ acl }));
      const urls = { operator: withUser(redis.url, 'relay-operator'), relay: withUser(redis.url, 'relay') };
      return overRedis(urls, [redis], stack);
    },
  ],
  [
    'Redis Cluster',
    async () => {
      const stack = new AsyncDisposableStack();
      const cluster = stack.use(await startCluster());
      const url = `redis+cluster://${cluster.nodes.map(({ host, port }) => `${host}:${port}`).join(',')}`;
      return overRedis({ operator: url, relay: url }, cluster.nodes, stack);
    },
  ],
];

describe.each(links)('%s', (_name, open) => {
  factLinkContract(open);
});
