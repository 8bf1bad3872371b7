import { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import { parseRedisUrl } from '#crds/redis-url.ts';
import type { RedisAddress } from '#crds/redis-url.ts';
import { OutageLog } from '../engine/outage-log.ts';

export type RedisConnection = Redis | Cluster;

export type ConnectOptions = {
  /** A URL in one of the forms of crds/redis-url.ts. */
  readonly url: string;
  readonly log: Logger;
  /** What the connection is for: CLIENT SETNAME, and the log. */
  readonly name: string;
  /** How long a command may take, waiting for a connection included. Default 3 000 ms. */
  readonly commandTimeoutMs?: number;
  /** Shared by the connections to one Redis, made with `REDIS_OUTAGE`: when it is away they say so in one line. Default: its own. */
  readonly outages?: OutageLog;
};

/** What an OutageLog of connections says. */
export const REDIS_OUTAGE = { down: 'Redis cannot be reached, trying again', up: 'Redis can be reached again' };

/** TCP and TLS trust of the system (NODE_EXTRA_CA_CERTS included). */
const common = (address: RedisAddress, { name, commandTimeoutMs = 3_000 }: ConnectOptions) => ({
  connectionName: `relay-operator-${name}`,
  ...(address.username === undefined ? {} : { username: address.username }),
  ...(address.password === undefined ? {} : { password: address.password }),
  ...(address.tls ? { tls: {} } : {}),
  connectTimeout: 3_000,
  commandTimeout: commandTimeoutMs,
  // A connection on which nothing comes back is a dead one: the next attempt takes a new one.
  socketTimeout: commandTimeoutMs + 2_000,
  keepAlive: 10_000,
  // No queue: a command that cannot be sent fails at once, and whoever sent it knows best what to do then.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  // A primary that was demoted answers READONLY: look for the new one.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
});

const backoff = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000);

/**
 * A connection that reconnects by itself for ever. Commands reject while there is none. Trouble is logged once per outage and never is an
 * unhandled error. Close it with `disconnect()`.
 */
export function connectRedis(options: ConnectOptions): RedisConnection {
  const address = parseRedisUrl(options.url);
  const redis = open(address, options);
  const { name, outages = new OutageLog(options.log, REDIS_OUTAGE) } = options;
  redis.on('error', (error: Error) => outages.down(name, { connection: name, err: error }));
  redis.on('ready', () => outages.up(name, { connection: name }));
  return redis;
}

function open(address: RedisAddress, options: ConnectOptions): RedisConnection {
  const shared = common(address, options);
  switch (address.kind) {
    case 'single':
      return new Redis({ ...shared, ...address.endpoint, db: address.database, retryStrategy: backoff });
    case 'sentinel':
      return new Redis({
        ...shared,
        name: address.masterName,
        sentinels: address.endpoints.map(({ host, port }) => ({ host, port })),
        ...(address.sentinelUsername === undefined ? {} : { sentinelUsername: address.sentinelUsername }),
        ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
        ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
        sentinelRetryStrategy: backoff,
        retryStrategy: backoff,
      });
    case 'cluster':
      return new Cluster(
        address.endpoints.map(({ host, port }) => ({ host, port })),
        {
          redisOptions: shared,
          enableOfflineQueue: false,
          clusterRetryStrategy: backoff,
          slotsRefreshTimeout: 3_000,
          // With TLS the certificate is of the name, not of the address it resolves to.
          ...(address.tls ? { dnsLookup: (host, callback) => callback(null, host) } : {}),
        },
      );
  }
}

/** Resolves when a command can be sent; rejects with the signal's reason when it is aborted first. */
export async function whenReady(redis: RedisConnection, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (redis.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onReady = (): void => resolve();
  const onAbort = (): void => reject(signal.reason);
  redis.once('ready', onReady);
  signal.addEventListener('abort', onAbort);
  try {
    await promise;
  } finally {
    redis.off('ready', onReady);
    signal.removeEventListener('abort', onAbort);
  }
}
