import cluster from 'node:cluster';
import { once } from 'node:events';
import { pino } from 'pino';
import { appKeys } from '#relay/redis/app-keys.ts';
import { RedisBus } from '#relay/redis/bus.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { MemoryWorld } from '#test/integration/relay/memory-relay.ts';
import { startRedis } from '#test/parts/redis.ts';

// As relay.ts, but as worker processes behind one port, with the bus in Redis (counts and the rest stay in memory): argument 1 says how many.
// Prints `listening PORT PIDS`; Redis is not among them.

if (cluster.isPrimary) {
  const redis = await startRedis();
  const workers = Array.from({ length: Number(process.argv[2]) }, () => cluster.fork({ BENCH_REDIS: redis.url }));
  const ports = await Promise.all(workers.map(async (worker) => Number((await once(worker, 'message'))[0])));
  const pids = workers.map((worker) => worker.process.pid);
  process.stdout.write(`listening ${ports[0]} ${[process.pid, ...pids].join(',')}\n`);
} else {
  const log = pino({ level: 'warn' });
  const redis = { url: process.env['BENCH_REDIS'] ?? '', log };
  const publisher = connectRedis({ ...redis, name: 'bus' });
  const subscriber = connectRedis({ ...redis, name: 'bus-subscriber', sharded: true });
  const { signal } = new AbortController();
  await Promise.all([whenReady(publisher, signal), whenReady(subscriber, signal)]);
  const world = new MemoryWorld();
  await world.directory.setApp();
  const origin = `bench:${process.pid}`;
  const keys = appKeys('rly');
  const now = (): number => performance.now();
  const relay = await world.relay(
    { metricsPort: undefined },
    { bus: (listener) => new RedisBus({ publisher, subscriber, keys, origin, listener, log, now }) },
  );
  process.send?.(relay.port);
}
