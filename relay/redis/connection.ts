import { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { LinkTls } from '#crds/link-tls.ts';
import { redisOptions } from '#crds/redis-options.ts';
import { parseRedisUrl } from '#crds/redis-url.ts';

export type RedisConnection = Redis | Cluster;

export type ConnectOptions = {
  /** A URL in one of the forms of crds/redis-url.ts. */
  readonly url: string;
  /** For URLs that say TLS. Default: the system's authorities, no certificate of ours. */
  readonly tls?: LinkTls | undefined;
  readonly log: Logger;
  /** What the connection is for: CLIENT SETNAME, and the log. */
  readonly name: string;
  /** How long a command may take, waiting for a connection included. Default 3 000 ms. */
  readonly commandTimeoutMs?: number;
  /** For SSUBSCRIBE: of a Cluster, keeps a subscriber at every primary that has slots subscribed to. */
  readonly sharded?: boolean;
};

/**
 * A connection that reconnects by itself for ever. Commands reject while there is none. Trouble is logged once per outage and never is an
 * unhandled error. Close it with `disconnect()`.
 */
export function connectRedis(options: ConnectOptions): RedisConnection {
  const redis = open(options);
  let out = false;
  redis.on('error', (error: Error) => {
    if (out) return;
    out = true;
    options.log.warn({ connection: options.name, err: error }, 'Redis cannot be reached, trying again');
  });
  redis.on('ready', () => {
    if (out) options.log.info({ connection: options.name }, 'Redis can be reached again');
    out = false;
  });
  return redis;
}

function open({ url, tls, name, commandTimeoutMs = 3_000, sharded = false }: ConnectOptions): RedisConnection {
  const form = redisOptions(parseRedisUrl(url), { connectionName: `relay-${name}`, commandTimeoutMs, tls });
  if (form.kind === 'server') return new Redis(form.options);
  return new Cluster(form.nodes, { ...form.options, shardedSubscribers: sharded });
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
