import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import { MemoryOccupancy, MemoryOccupancyStore } from '#relay/occupancy/memory.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { RedisBus } from '#relay/redis/bus.ts';
import { connectRedis } from '#relay/redis/connection.ts';
import { RedisOccupancy } from '#relay/redis/occupancy.ts';
import { createRelay, type RelayParts } from '#relay/relay.ts';
import { HandBuiltDirectory } from '#test/integration/relay/hand-built-directory.ts';

// The relay that is measured: everything that relay/main.ts runs (gate, API, protocol, fan-out, metrics), with one app put into its
// directory by hand. Bus and counts are in memory, as in standalone, or in Redis when its URL is the argument. Prints `listening PORT`.

const [, , redisUrl] = process.argv;
const log = pino({ level: 'warn' });

function links(): Pick<RelayParts, 'bus' | 'occupancy'> {
  if (redisUrl === undefined) {
    return {
      bus: (listener) => new MemoryBus(new MemoryWire(), 'bench', listener),
      occupancy: (local) => new MemoryOccupancy(new MemoryOccupancyStore(), local),
    };
  }
  const now = (): number => performance.now();
  const keys = appKeys('rly');
  const origin = `bench:${randomBytes(6).toString('hex')}`;
  const client = connectRedis({ url: redisUrl, log, name: 'bus' });
  const subscriber = connectRedis({ url: redisUrl, log, name: 'bus-subscriber', sharded: true });
  return {
    bus: (listener) => new RedisBus({ publisher: client, subscriber, keys, origin, listener, log, now }),
    occupancy: (local) => new RedisOccupancy({ client, keys, replica: origin, local, now }),
  };
}

const directory = new HandBuiltDirectory();
await directory.setApp();
const relay = await createRelay(
  { directory, ...links(), metricsRegistry: new Registry(), log },
  { host: '127.0.0.1', port: 0, metricsPort: 0, drainSeconds: 0, maxUnsentBytes: 1_048_576 },
);
process.stdout.write(`listening ${relay.port}\n`);
