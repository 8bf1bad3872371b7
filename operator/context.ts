import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { pino, type Logger } from 'pino';
import { collectDefaultMetrics, Registry as MetricsRegistry } from 'prom-client';
import { FIELD_MANAGER, GROUP } from '#crds/api-group.ts';
import { directoryKeys } from '#crds/directory/redis-keys.ts';
import { factKeys } from '#crds/facts/redis-keys.ts';
import { loggedError } from '#crds/logged-error.ts';
import { redisTls } from '#crds/link-tls.ts';
import { databaseTls, type OperatorConfig } from './config.ts';
import { BackendGate } from './engine/backend-gate.ts';
import { systemClock, type Clock } from './engine/clock.ts';
import { EventRecorder } from './engine/events.ts';
import { LeaderElection, LeaseLostError } from './engine/leader-election.ts';
import { ControllerMetrics } from './engine/metrics.ts';
import { OutageLog } from './engine/outage-log.ts';
import { KubernetesClient } from './kubernetes/client.ts';
import { Connection } from './kubernetes/connection.ts';
import { eventSink } from './kubernetes/event-sink.ts';
import { kubeConfigOf } from './kubernetes/kubeconfig.ts';
import { KUBERNETES_BACKEND } from './kubernetes/kubernetes-error.ts';
import { leaseLock } from './kubernetes/lease-lock.ts';
import { kubernetesPodLook } from './kubernetes/pod-look.ts';
import { restMetrics } from './kubernetes/rest-metrics.ts';
import { createKubernetesWorld, type KubernetesWorld } from './kubernetes/world.ts';
import type { LeaderOptions } from './leader.ts';
import { createSmtpChannel } from './mail/smtp-channel.ts';
import type { Channel } from './notifications/channel.ts';
import { createGivenUpEvent } from './notifications/given-up-event.ts';
import { createNotificationMetrics } from './notifications/metrics.ts';
import type { ChannelName } from './notifications/queue.ts';
import { isPostgresUnavailable, POSTGRES } from './postgres/backend-error.ts';
import { createNotificationQueue } from './postgres/notification-queue.ts';
import { createPool } from './postgres/pool.ts';
import { EarlyStatuses } from './reconcile/early-statuses.ts';
import { OldCredentials } from './rotation/old-credentials.ts';
import { connectRedis, REDIS_OUTAGE, type RedisConnection } from './redis/connection.ts';
import { createDirectoryStore } from './redis/directory-store.ts';
import { createFactStream } from './redis/fact-stream.ts';
import { createRelayState } from './relay-state.ts';
import { createWebhookChannel } from './slack/webhook-channel.ts';

/** Everything that an operator process is made of. Constructed once, from the configuration alone. */
export type OperatorContext = AsyncDisposable & {
  readonly config: OperatorConfig;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly pool: pg.Pool;
  readonly redis: RedisConnection;
  readonly client: KubernetesClient;
  readonly world: KubernetesWorld;
  readonly election: LeaderElection;
  readonly gates: readonly BackendGate[];
  /** What the leader runs with. */
  readonly leader: LeaderOptions;
};

/** What a test may put in the place of this machine's time. */
export type OperatorOverrides = {
  /**
   * What credentials and mail go by: when something is due, and when it happened. Leases, connections and what is said about outages are
   * between machines and keep the time of this one.
   */
  readonly clock?: Clock;
  /** How often what relays tell is read, ms of this machine. */
  readonly factsEveryMs?: number;
};

export function createContext(config: OperatorConfig, overrides: OperatorOverrides = {}): OperatorContext {
  const log = pino({
    level: config.LOG_LEVEL,
    base: { pod: config.POD_NAME },
    serializers: { err: loggedError },
  });
  const metrics = new MetricsRegistry();
  collectDefaultMetrics({ register: metrics });
  const { clock = systemClock, factsEveryMs } = overrides;

  const pool = createPool({
    url: config.DATABASE_URL.reveal(),
    tls: databaseTls(config),
    max: config.CONCURRENCY + 4,
    onConnectionLost: (error) => log.debug({ error: error.message }, 'a PostgreSQL connection was lost'),
  });
  const redisAt = { url: config.REDIS_URL.reveal(), tls: redisTls(config) };
  const outages = new OutageLog(log, REDIS_OUTAGE);
  const redis = connectRedis({ ...redisAt, log, name: 'directory', outages });
  const subscriber = connectRedis({ ...redisAt, log, name: 'directory-reports', outages });

  const connection = new Connection(kubeConfigOf(config.KUBECONFIG), systemClock);
  const client = new KubernetesClient({
    connection,
    fieldManager: FIELD_MANAGER,
    userAgent: 'relay-operator',
    onResponse: restMetrics(metrics),
  });
  const election = new LeaderElection({
    lock: leaseLock(client, { namespace: config.POD_NAMESPACE, name: config.LEASE_NAME }),
    // A restarted process must not take its own old lease for held.
    identity: `${config.POD_NAME}_${randomUUID()}`,
    clock: systemClock,
    random: Math.random,
    log,
  });
  const fenced = client.fenced(() => {
    if (!election.isLeading()) throw new LeaseLostError('this process no longer leads');
  });
  const recorder = new EventRecorder({
    sink: eventSink(fenced, { controller: `${GROUP}/operator`, instance: config.POD_NAME }),
    clock: systemClock,
    newId: randomUUID,
    log,
  });
  const world = createKubernetesWorld({
    client: fenced,
    namespaces: config.WATCH_NAMESPACES,
    clock: systemClock,
    log,
    recorder,
  });

  const gate = (name: string, probe: (signal: AbortSignal) => Promise<unknown>): BackendGate =>
    new BackendGate({
      name,
      probe: async (signal) => void (await probe(signal)),
      clock: systemClock,
      random: Math.random,
      log,
    });
  const postgres = gate(POSTGRES, () => pool.query('SELECT 1'));
  const gates = [postgres, gate(KUBERNETES_BACKEND, (signal) => client.version({ signal }))];

  const saidElsewhere = (error: unknown): boolean => {
    // The connection says so itself.
    if (redis.status !== 'ready') return true;
    if (!isPostgresUnavailable(error)) return false;
    postgres.close(error);
    return true;
  };
  const channels = notificationChannels(config);
  const state = createRelayState({
    pool,
    rings: {
      installation: config.INSTALLATION_ID,
      encryption: config.ENCRYPTION_KEYS,
      directory: config.DIRECTORY_KEYS,
    },
    channels: { mail: channels.has('Mail'), webhook: channels.has('Webhook') },
    store: createDirectoryStore({ redis, subscriber, keys: directoryKeys(config.REDIS_PREFIX) }),
    stream: createFactStream(redis, factKeys(config.REDIS_PREFIX)),
    podLook: kubernetesPodLook(client, config.POD_NAMESPACE),
    now: () => clock.now(),
    log,
    metrics,
    saidElsewhere,
    ...(factsEveryMs === undefined ? {} : { factsEveryMs }),
  });
  const queue = createNotificationQueue({
    pool,
    installation: config.INSTALLATION_ID,
    term: () => state.publisher.term(),
  });

  return {
    config,
    log,
    metrics,
    pool,
    redis,
    client,
    world,
    election,
    gates,
    leader: {
      ...state,
      world,
      oldCredentials: new OldCredentials(metrics),
      earlyStatuses: new EarlyStatuses(metrics),
      mail: channels.has('Mail'),
      endpoints: { public: config.RELAY_PUBLIC_URL, internal: config.RELAY_INTERNAL_URL ?? config.RELAY_PUBLIC_URL },
      allowedIssuers: config.ALLOWED_ISSUERS,
      clock,
      log,
      metrics: new ControllerMetrics(metrics),
      gates,
      concurrency: config.CONCURRENCY,
      delivery: {
        queue,
        channels,
        sender: { installation: config.INSTALLATION_ID, relayUrl: config.RELAY_PUBLIC_URL },
        clock,
        log,
        metrics: createNotificationMetrics(metrics),
        onGivenUp: createGivenUpEvent(world),
      },
    },
    [Symbol.asyncDispose]: async () => {
      await recorder[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      redis.disconnect();
      subscriber.disconnect();
      await pool.end();
    },
  };
}

function notificationChannels(config: OperatorConfig): ReadonlyMap<ChannelName, Channel> {
  const { SMTP_URL: server, SMTP_FROM: from, SMTP_TLS_CA_FILE: ca, NOTIFY_WEBHOOK_URL: url } = config;
  const channels = new Map<ChannelName, Channel>();
  if (server !== undefined && from !== undefined)
    channels.set('Mail', createSmtpChannel({ server, from, ca: ca?.reveal() }));
  if (url !== undefined) channels.set('Webhook', createWebhookChannel(url));
  return channels;
}
