import type { LinkTls } from './link-tls.ts';
import type { RedisAddress, RedisEndpoint } from './redis-url.ts';

export type RedisOptionsInput = {
  /** CLIENT SETNAME. */
  readonly connectionName: string;
  /** How long a command may take, waiting for a connection included. */
  readonly commandTimeoutMs: number;
  /** Only of use where the URL says TLS. undefined: the system's authorities, no certificate of ours. */
  readonly tls: LinkTls | undefined;
};

/** Pauses between attempts to connect: 100 ms, doubling to 2 s, for ever. */
const backoff = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000);

/**
 * The options of an ioredis client for an address, the same for operator and relay, because both must fail and recover alike. Plain data: who
 * connects constructs the client. TLS always verifies the other side.
 */
export function redisOptions(address: RedisAddress, input: RedisOptionsInput) {
  const shared = sharedOptions(address, input);
  switch (address.kind) {
    case 'single':
      return {
        kind: 'server' as const,
        options: { ...shared, ...address.endpoint, db: address.database, retryStrategy: backoff },
      };
    case 'sentinel':
      return {
        kind: 'server' as const,
        options: {
          ...shared,
          name: address.masterName,
          sentinels: plain(address.endpoints),
          ...(address.sentinelUsername === undefined ? {} : { sentinelUsername: address.sentinelUsername }),
          ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
          ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: { ...input.tls } } : {}),
          sentinelRetryStrategy: backoff,
          retryStrategy: backoff,
        },
      };
    case 'cluster':
      return {
        kind: 'cluster' as const,
        nodes: plain(address.endpoints),
        options: {
          redisOptions: shared,
          enableOfflineQueue: false,
          clusterRetryStrategy: backoff,
          slotsRefreshTimeout: 3_000,
          // The one refresh that a moved slot causes may ask a node that has not heard of it yet.
          slotsRefreshInterval: 5_000,
          // With TLS the certificate is of the name, not of the address that it resolves to.
          ...(address.tls ? { dnsLookup: asGiven } : {}),
        },
      };
  }
}

function sharedOptions(address: RedisAddress, { connectionName, commandTimeoutMs, tls }: RedisOptionsInput) {
  return {
    connectionName,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: { ...tls } } : {}),
    connectTimeout: 3_000,
    commandTimeout: commandTimeoutMs,
    // A connection on which nothing comes back is a dead one: the next attempt takes a new one.
    socketTimeout: commandTimeoutMs + 2_000,
    keepAlive: 10_000,
    // No queue: a command that cannot be sent fails at once, and whoever sent it knows best what to do then.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Who subscribed does it again by itself. ioredis leaves the failure of its own attempt to nobody: the process would end.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    // A primary that was demoted answers READONLY: look for the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
}

function plain(endpoints: readonly RedisEndpoint[]): { host: string; port: number }[] {
  return endpoints.map(({ host, port }) => ({ host, port }));
}

function asGiven(host: string, callback: (error: null, address: string) => void): void {
  callback(null, host);
}
