import { pino } from 'pino';
import { RedisBus } from '#relay/redis/bus.ts';
import { appKeys } from '#relay/redis/app-keys.ts';
import { connectRedis, whenReady } from '#relay/redis/connection.ts';
import { RedisEventCache } from '#relay/redis/event-cache.ts';
import { RedisOccupancyStore } from '#relay/redis/occupancy-store.ts';
import { RedisWebhookQueue } from '#relay/redis/webhook-queue.ts';
import type { Relay } from '#relay/relay.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { startTcpProxy } from '#test/parts/tcp-proxy.ts';
import { MemoryWorld } from '../relay/memory-relay.ts';

/** Clocks of the replicas, so much faster than deployed ones that a death is noticed within two seconds. */
const TIMES = { beatMs: 200, leaseMs: 1_200 };
const HOLD_MS = 300;

/** A whole relay in this process, with its own way to Redis. */
export type Replica = {
  readonly relay: Relay;
  /** As far as others can tell, `kill -9`: Redis hears nothing more, clients lose their connection. */
  kill(): void;
  /** Nothing goes through between it and Redis until `heal`; it knows (connections refused) and goes on serving. */
  cutOff(): void;
  heal(): void;
  stop(): Promise<void>;
};

/** Relays over one real Redis, with a directory in memory, so that many short lives fit into a test. */
export class RedisWorld implements AsyncDisposable {
  readonly redis: RedisServer;
  readonly memory = new MemoryWorld();
  /** Of replicas that were killed: they take a moment to notice. */
  readonly #dying: Promise<void>[] = [];
  #replicas = 0;

  private constructor(redis: RedisServer) {
    this.redis = redis;
  }

  static async start(): Promise<RedisWorld> {
    return new RedisWorld(await startRedis());
  }

  async replica(): Promise<Replica> {
    this.#replicas += 1;
    const replica = `relay-${this.#replicas}:model`;
    const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent', base: { replica } });
    const proxy = await startTcpProxy({ port: this.redis.port });
    const url = `redis://127.0.0.1:${proxy.port}`;
    const client = connectRedis({ url, log, name: 'bus' });
    const subscriber = connectRedis({ url, log, name: 'bus-subscriber', sharded: true });
    const never = AbortSignal.timeout(30_000);
    await Promise.all([whenReady(client, never), whenReady(subscriber, never)]);
    const keys = appKeys();
    const now = (): number => performance.now();
    const relay = await this.memory.relay(
      {},
      {
        replica,
        bus: (listener) =>
          new RedisBus({ publisher: client, subscriber, keys, origin: replica, listener, log, now, lingerMs: 100 }),
        occupancyStore: new RedisOccupancyStore({
          client,
          keys,
          replica,
          now,
          holdMs: HOLD_MS,
          leaseMs: TIMES.leaseMs,
        }),
        occupancyTimes: TIMES,
        cache: new RedisEventCache({ client, keys, now }),
        webhookQueue: new RedisWebhookQueue({ client, keys, prefix: '', replica, now, wallClock: Date.now }),
        log,
      },
    );
    const close = async (): Promise<void> => {
      await relay[Symbol.asyncDispose]();
      client.disconnect();
      subscriber.disconnect();
      await proxy[Symbol.asyncDispose]();
    };
    return {
      relay,
      kill: () => {
        proxy.refuse();
        this.#dying.push(close());
      },
      cutOff: () => proxy.refuse(),
      heal: () => proxy.pass(),
      stop: close,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#dying);
    await this.redis[Symbol.asyncDispose]();
  }
}
