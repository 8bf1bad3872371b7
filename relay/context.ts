import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { directoryKeys } from '#crds/directory/redis-keys.ts';
import { LACKS_GEOIP } from '#crds/directory/report.ts';
import { factKeys } from '#crds/facts/redis-keys.ts';
import { signReport } from '#crds/facts/report.ts';
import { GeoipDatabase } from './access/geoip-database.ts';
import { geoipMetrics } from './access/geoip-metrics.ts';
import { IpRanges } from './access/ip-ranges.ts';
import { redisTls } from '#crds/link-tls.ts';
import type { RelayConfig, WorkerConfig } from './config.ts';
import { monotonicClock } from './directory/clock.ts';
import { Follower } from './directory/follower.ts';
import { createFollowerMetrics } from './directory/metrics.ts';
import { relayLog } from './log.ts';
import { appKeys } from './redis/app-keys.ts';
import { RedisBus } from './redis/bus.ts';
import { connectRedis, whenReady, type RedisConnection } from './redis/connection.ts';
import { createDirectoryFeed } from './redis/directory-feed.ts';
import { RedisEventCache } from './redis/event-cache.ts';
import { RedisFactSink } from './redis/fact-sink.ts';
import { RedisOccupancyStore } from './redis/occupancy-store.ts';
import { RedisWebhookQueue } from './redis/webhook-queue.ts';
import { RedisActivityLog } from './redis/activity.ts';
import { RedisRateStore } from './redis/rate-store.ts';
import { RedisPublicKeys } from './redis/public-keys.ts';
import { RedisUsage } from './redis/usage.ts';
import type { RelayParts } from './relay-parts.ts';
import { createRelay, type Relay } from './relay.ts';
import type { TransportSettings } from './transport/transport.ts';
import { addressPolicy } from './webhooks/address-policy.ts';
import { createHttpPost } from './webhooks/post.ts';
import { createResolver } from './webhooks/resolver.ts';

export type RelayContext = AsyncDisposable & {
  readonly log: Logger;
  readonly relay: Relay;
  readonly metricsRegistry: Registry;
  /** Says goodbye to clients, then to the operator, then closes everything. For SIGTERM. */
  readonly shutDown: () => Promise<void>;
};

/** Longer than the follower's wait for the log. */
const BLOCKING_TIMEOUT_MS = 5_000;

/** What a test may put in the place of this machine's time. */
export type RelayOverrides = Pick<RelayParts, 'clock' | 'factTimes'>;

/** Everything that a deployed relay is made of: Redis connections, the follower of the directory, the relay itself. */
export async function createRelayContext(
  config: RelayConfig | WorkerConfig,
  log: Logger = relayLog(config),
  overrides: RelayOverrides = {},
): Promise<RelayContext> {
  const connections: RedisConnection[] = [];
  const tls = redisTls(config);
  const connect = (name: string, options: { commandTimeoutMs?: number; sharded?: boolean } = {}): RedisConnection => {
    // All go to the same Redis: the first one says when that is away, once per outage.
    const speaker = connections.length === 0 ? log : log.child({}, { level: 'silent' });
    const connection = connectRedis({ url: config.REDIS_URL.reveal(), tls, log: speaker, name, ...options });
    connections.push(connection);
    return connection;
  };
  const metricsRegistry = new Registry();
  const database =
    config.GEOIP_DATABASE === ''
      ? undefined
      : await GeoipDatabase.open({ path: config.GEOIP_DATABASE, metrics: geoipMetrics(metricsRegistry), log });
  const directory = connect('directory');
  const directoryLog = connect('directory-log', { commandTimeoutMs: BLOCKING_TIMEOUT_MS });
  const follower: Follower = new Follower({
    keyring: config.DIRECTORY_KEYS,
    feed: createDirectoryFeed({
      redis: directory,
      blocking: directoryLog,
      keys: directoryKeys(config.REDIS_PREFIX),
    }),
    clock: monotonicClock,
    log,
    // What Redis answered is news; that it does not answer is what the connection says.
    saidElsewhere: (error) => !(error instanceof Error && error.name === 'ReplyError'),
    id: config.RELAY_ID,
    podUid: config.POD_UID === '' ? null : config.POD_UID,
    nextNonce: () => randomUUID(),
    admitTimeoutMs: config.RELAY_ADMIT_TIMEOUT * 1000,
    fenceAfterMs: config.RELAY_FENCE_AFTER === 0 ? null : config.RELAY_FENCE_AFTER * 1000,
    lacks: () => (database?.available === true ? [] : [LACKS_GEOIP]),
    metrics: createFollowerMetrics(metricsRegistry, () => follower.staleSeconds()),
  });

  // Of this boot: a replica that comes back must neither hear its own late messages nor inherit the dead one's counts.
  const origin = `${config.RELAY_ID}:${randomBytes(6).toString('hex')}`;
  const commands = connect('bus');
  const keys = appKeys(config.REDIS_PREFIX);
  const now = (): number => performance.now();
  const post = createHttpPost({ policy: addressPolicy(config.RELAY_WEBHOOK_ALLOW), resolve: createResolver() });
  const relay = await createRelay(
    {
      ...overrides,
      ...(database === undefined ? {} : { geography: database }),
      directory: follower,
      replica: origin,
      bus: (listener) =>
        new RedisBus({
          publisher: commands,
          subscriber: connect('bus-subscriber', { sharded: true }),
          keys,
          origin,
          listener,
          log,
          now,
        }),
      occupancyStore: new RedisOccupancyStore({ client: commands, keys, replica: origin, now }),
      cache: new RedisEventCache({ client: commands, keys, now }),
      rateStore: new RedisRateStore({ client: commands, keys, now }),
      usageStore: new RedisUsage({ client: commands, keys, replica: origin, now }),
      publicKeys: new RedisPublicKeys({ client: commands, keys, now }),
      facts: {
        sink: new RedisFactSink({ client: commands, keys: factKeys(config.REDIS_PREFIX), now }),
        replica: config.RELAY_ID,
        boot: randomUUID(),
        sign: (report) => signReport(config.DIRECTORY_KEYS, follower.keyId(), report),
      },
      activity: new RedisActivityLog({ client: commands, keys, now, wallClock: Date.now }),
      webhookQueue: new RedisWebhookQueue({
        client: commands,
        keys,
        prefix: config.REDIS_PREFIX,
        replica: origin,
        now,
        wallClock: Date.now,
      }),
      post,
      metricsRegistry,
      log,
    },
    {
      host: config.HOST,
      port: config.PORT,
      metricsPort: config.METRICS_PORT,
      drainSeconds: config.RELAY_DRAIN_SECONDS,
      maxUnsentBytes: config.RELAY_MAX_UNSENT_BYTES,
      maxSubscriptions: config.RELAY_MAX_SUBSCRIPTIONS,
      rates: { app: config.RELAY_DEFAULT_RATE, testToken: config.RELAY_TEST_RATE },
      transport: transportOf(config),
      proxies: {
        trusted: new IpRanges(config.TRUSTED_PROXIES),
        header: config.FORWARDED_HEADER,
        proxyProtocol: config.PROXY_PROTOCOL === 'required',
        certificates: {
          headers: config.CLIENT_CERT_HEADERS,
          proxySecrets: config.PROXY_SECRET,
          proxyCertificates: config.PROXY_CERTIFICATES,
        },
      },
    },
  );

  const following = new AbortController();
  const followed = followOnceReachable(follower, [directory, directoryLog], following.signal);
  const dispose = async (): Promise<void> => {
    following.abort();
    await relay[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
    post[Symbol.dispose]();
    for (const connection of connections) connection.disconnect();
    await followed;
  };
  return {
    log,
    relay,
    metricsRegistry,
    shutDown: async () => {
      await relay.drain();
      // Only now: until its last socket is gone a relay counts, and `Enforced` waits for it.
      await follower.bye();
      await dispose();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function transportOf(config: RelayConfig | WorkerConfig): TransportSettings {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, REQUIRE_TLS } = config;
  const certificate = cert === undefined || key === undefined ? undefined : { cert, key };
  return {
    certificate,
    requireTls: REQUIRE_TLS ?? certificate !== undefined,
    requestCertificates: config.TLS_CLIENT_CERTIFICATES === 'request',
  };
}

/** Ports are open meanwhile (alive, not ready). Without this every start would begin with complaints about a connection in the making. */
async function followOnceReachable(
  follower: Follower,
  connections: readonly RedisConnection[],
  signal: AbortSignal,
): Promise<void> {
  try {
    await Promise.all(connections.map((connection) => whenReady(connection, signal)));
  } catch {
    return; // Stopped before Redis was there.
  }
  await follower.run(signal);
}
