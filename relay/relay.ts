import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { ForwardingHeader } from './access/client-address.ts';
import { ClientCertificates, type CertificateSettings } from './access/client-certificates.ts';
import type { Geography } from './access/countries.ts';
import { noGeography } from './access/geoip-database.ts';
import { geoipMetrics } from './access/geoip-metrics.ts';
import type { IpRanges } from './access/ip-ranges.ts';
import { ProxyFront } from './access/proxy-front.ts';
import { TrustedProxies } from './access/trusted-proxies.ts';
import type { ActivityLog } from './activity/activity.ts';
import type { Bus, BusListener } from './bus/bus.ts';
import { Signals } from './bus/signals.ts';
import type { EventCache } from './cache/event-cache.ts';
import { arrivalsOf } from './connections/arrivals.ts';
import { connectionAnswers, Connections } from './connections/connections.ts';
import { Questions } from './connections/questions.ts';
import { onTerminateUser } from './connections/termination.ts';
import { useOfOpenSockets } from './credential-use/open-sockets.ts';
import { UseTally } from './credential-use/use-tally.ts';
import { monotonicClock } from './directory/clock.ts';
import type { Directory } from './directory/directory.ts';
import type { PublicKeys } from './encryption/public-keys.ts';
import { FactReporter, keepTelling, type FactReporterParts } from './facts/fact-reporter.ts';
import { factMetrics } from './facts/metrics.ts';
import { keepSweeping, RateLimiter } from './limits/rate-limiter.ts';
import type { RateSettings } from './limits/rate-subject.ts';
import type { RateStore } from './limits/rate-store.ts';
import { rulesOf } from './occupancy/app-rules.ts';
import { SharedState } from './occupancy/shared-state.ts';
import type { OccupancyStore } from './occupancy/store.ts';
import type { RosterChange } from './presence/presence.ts';
import { memberAdded, memberRemoved } from './protocol/server-message.ts';
import { screeningMetrics } from './screening/metrics.ts';
import { Screening } from './screening/screening.ts';
import { createApp } from './server/app.ts';
import { ChannelFacts } from './server/channel-facts.ts';
import { ChannelCounts } from './server/channel-counts.ts';
import { drain } from './server/drain.ts';
import { ExpiryWatch, type ExpiryClock } from './server/expiry-watch.ts';
import { FanOut, type Subscriber } from './server/fan-out.ts';
import { Holds } from './server/holds.ts';
import { Hub } from './server/hub.ts';
import { createManagementServer, type ManagementSources } from './server/management.ts';
import { Memberships } from './server/memberships.ts';
import { relayMetrics } from './server/metrics.ts';
import { Outbox } from './server/outbox.ts';
import { recheckSockets, reliesOnToken } from './server/rule-changes.ts';
import { listen, listenManagement } from './server/server.ts';
import type { RelaySocket } from './server/socket.ts';
import { SocketRegistry } from './server/socket-registry.ts';
import { Upgrade } from './server/upgrade.ts';
import { cameInPlaintext } from './transport/plaintext.ts';
import { isEncrypted } from './transport/tls-front.ts';
import { PLAINTEXT, secureServer, type TransportSettings } from './transport/transport.ts';
import { webhookMetrics } from './webhooks/metrics.ts';
import type { Post } from './webhooks/post.ts';
import type { WebhookQueue } from './webhooks/webhook-queue.ts';
import { QueuedWebhooks } from './webhooks/webhooks.ts';
import { keepWriting, Usage } from './usage/usage.ts';
import type { UsageStore } from './usage/usage-store.ts';
import { Users } from './users/users.ts';
import { Watchlists } from './users/watchlists.ts';

/** What differs between a relay of a cluster and one in a single process: Redis behind these, or memory. */
export type RelayParts = {
  readonly directory: Directory;
  /** This replica among the others, and of this boot: the name that bus, counts and usage know it by. */
  readonly replica: string;
  readonly bus: (listener: BusListener) => Bus;
  /** Counts and presence over all replicas; closed with the relay. */
  readonly occupancyStore: OccupancyStore;
  /** How often a replica shows that it lives, and how long it is believed; what is usual where it is left out. */
  readonly occupancyTimes?: { readonly beatMs: number; readonly leaseMs: number };
  readonly webhookQueue: WebhookQueue;
  readonly activity: ActivityLog;
  /** Where clients are; left out: nobody knows. */
  readonly geography?: Geography;
  /** Sends webhooks. */
  readonly post: Post;
  /** The last event of cache channels. */
  readonly cache: EventCache;
  readonly usageStore: UsageStore;
  /** Budgets of requests and connects over all replicas. */
  readonly rateStore: RateStore;
  /** X25519 public keys of the apps' participants. */
  readonly publicKeys: PublicKeys;
  /** How the operator is told what happened here. */
  readonly facts: Pick<FactReporterParts, 'sink' | 'replica' | 'boot' | 'sign'>;
  /** How often it is told, and how often of a credential in steady use; what is usual where it is left out. */
  readonly factTimes?: { readonly everyMs: number; readonly toldAgainMs: number };
  /** What credentials go by: when one begins and ends, and when it was used. Left out: the time of this machine. */
  readonly clock?: ExpiryClock;
  readonly metricsRegistry: Registry;
  readonly log: Logger;
  /** Adds routes beside the API; standalone's page. */
  readonly routes?: (app: FastifyInstance) => void;
};

export type RelaySettings = {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** undefined: no management port (standalone). */
  readonly metricsPort: number | undefined;
  readonly drainSeconds: number;
  readonly maxUnsentBytes: number;
  /** Most channels that one socket may be subscribed to. */
  readonly maxSubscriptions: number;
  readonly rates: RateSettings;
  /** Left out: plaintext. */
  readonly transport?: TransportSettings;
  /** Who may say, in which header, on whose behalf it calls. */
  readonly proxies: {
    readonly trusted: IpRanges;
    readonly header: ForwardingHeader;
    /** They begin each connection with a PROXY protocol header. Left out: they do not. */
    readonly proxyProtocol?: boolean;
    /** How they say with which certificate it called. Left out: nobody is believed. */
    readonly certificates?: CertificateSettings;
  };
};

export type Relay = AsyncDisposable & {
  /** Where clients connect. */
  readonly port: number;
  readonly metricsPort: number | undefined;
  readonly ready: () => boolean;
  /** Not ready from now on; sends every socket away with 4200 over the drain time. Resolves when the last one is gone. */
  readonly drain: () => Promise<void>;
};

const NO_CERTIFICATE_HEADERS: CertificateSettings = { headers: [], proxySecrets: [], proxyCertificates: new Set() };

const LIVENESS_CHECK_MS = 1_000;

/** A first use is told of within this time, and that a credential is still in use after that one. */
const FACTS_EVERY_MS = 5_000;
const TOLD_AGAIN_MS = 60_000;

/** Watchlists ask the store about everybody this often: a signal may be lost with the connection that should have brought it. */
const WATCHLIST_CHECK_MS = 30_000;

/**
 * Puts a relay together and opens its ports. It constructs no clients (context.ts does) and does not own the directory. Disposing cuts
 * what is left of sockets, finishes requests and closes bus and counts.
 */
export async function createRelay(parts: RelayParts, settings: RelaySettings): Promise<Relay> {
  const { directory, log } = parts;
  let draining = false;
  const ready = (): boolean => directory.ready() && !directory.fenced() && !draining;
  const now = (): number => performance.now();
  const machine = { ...monotonicClock, now: Date.now };
  const clock = parts.clock ?? machine;
  const wallClock = (): number => clock.now();

  const registry = new SocketRegistry<RelaySocket>();
  const metrics = relayMetrics(parts.metricsRegistry, {
    connections: () => registry.size,
    ready,
    replicas: () => parts.rateStore.replicas(),
  });
  const outbox = new Outbox(settings.maxUnsentBytes, now);
  const { cache, replica, usageStore, publicKeys } = parts;
  const usage = new Usage({
    store: usageStore,
    connections: (appId) => registry.connections(appId),
    wallClock,
  });
  const limiter = new RateLimiter(parts.rateStore, now, () => metrics.degraded.inc({ part: 'rate' }));
  const sweeping = keepSweeping(limiter);
  const { rates } = settings;
  const transportSettings = settings.transport ?? PLAINTEXT;
  const tlsMissing = (request: IncomingMessage): boolean =>
    transportSettings.requireTls &&
    cameInPlaintext({ encrypted: isEncrypted(request.socket), forwardedProto: proxies.protocolOf(request) });
  const geography = parts.geography ?? noGeography(geoipMetrics(parts.metricsRegistry));
  let proxyFront: ProxyFront | undefined;
  const proxies = new TrustedProxies({
    ranges: settings.proxies.trusted,
    header: settings.proxies.header,
    peerOf: (socket) => proxyFront?.peerOf(socket) ?? socket.remoteAddress ?? '',
    ignored: () => metrics.forwardingHeadersIgnored.inc(),
  });
  const certificates = new ClientCertificates({
    settings: settings.proxies.certificates ?? NO_CERTIFICATE_HEADERS,
    proxies,
    ignored: (reason) => metrics.certificateHeadersIgnored.inc({ reason }),
  });
  const writing = keepWriting(usage, wallClock);
  const { everyMs, toldAgainMs } = parts.factTimes ?? { everyMs: FACTS_EVERY_MS, toldAgainMs: TOLD_AGAIN_MS };
  const credentialUses = new UseTally(useOfOpenSockets(registry, directory), toldAgainMs);
  const factReporter = new FactReporter({
    ...parts.facts,
    source: credentialUses,
    wallClock,
    metrics: factMetrics(parts.metricsRegistry),
  });
  const telling = keepTelling(factReporter, everyMs);
  const holds = new Holds<Subscriber>();
  const fanOut = new FanOut({ registry, holds, outbox, cache, directory, usage, metrics });
  const signals = new Signals();
  const bus = parts.bus((appId, channel, message) => {
    if (message.kind === 'event') fanOut.deliver(appId, channel, message);
    else signals.dispatch(appId, channel, message);
  });
  const webhooks = new QueuedWebhooks({
    queue: parts.webhookQueue,
    post: parts.post,
    directory,
    // Its leases are between machines.
    clock: machine,
    random: Math.random,
    metrics: webhookMetrics(parts.metricsRegistry),
    log,
  });
  const screening = new Screening({
    metrics: screeningMetrics(parts.metricsRegistry),
    activity: parts.activity,
    log,
    now,
  });
  const shared = new SharedState({
    store: parts.occupancyStore,
    local: registry,
    signals,
    rules: (appId) => rulesOf(directory.appById(appId)),
    rosterListener: (appId, channel, change) => {
      fanOut.tellMembers(appId, channel, rosterTail(change));
    },
    onWebhooks: (appId) => webhooks.wake(appId),
    onRecovered: (appId) => webhooks.wake(appId),
    now,
    log,
    ...parts.occupancyTimes,
  });
  const { occupancy, presence } = shared;
  const watchlists = new Watchlists({ bus, signals, occupancy });
  const questions = new Questions({
    bus,
    signals,
    replica,
    replicas: (appId) => occupancy.replicas(appId),
    nextId: randomUUID,
  });
  questions.answerWith(connectionAnswers(registry, replica));
  const hub = new Hub({
    log,
    registry,
    outbox,
    fanOut,
    bus,
    occupancy,
    memberships: new Memberships({
      registry,
      holds,
      outbox,
      fanOut,
      bus,
      occupancy,
      presence,
      cache,
      webhooks,
      metrics,
    }),
    users: new Users({ registry, bus, occupancy, watchlists, directory }),
    webhooks,
    screening,
    usage,
    credentialUses,
    arrivals: arrivalsOf({ usage, bus, connections: (appId) => registry.connections(appId) }),
    directory,
    metrics,
    now,
    wallClock,
    maxSubscriptions: settings.maxSubscriptions,
  });
  const counts = new ChannelCounts(occupancy, metrics);
  const facts = new ChannelFacts({ counts, presence, cache, metrics });
  onTerminateUser(signals, registry);
  const app = createApp({
    directory,
    proxies,
    certificates,
    geography,
    tlsMissing,
    wallClock,
    fanOut,
    bus,
    signals,
    facts,
    screening,
    connections: new Connections(questions),
    usage,
    credentialUses,
    usageStore,
    publicKeys,
    limiter,
    rates,
    metrics,
    log,
  });
  parts.routes?.(app);
  const upgrade = new Upgrade({
    log,
    hub,
    directory,
    proxies,
    certificates,
    geography,
    tlsMissing,
    occupancy,
    draining: () => draining,
    limiter,
    rates,
    wallClock,
  });

  const rules = { directory, geography, wallClock };
  const stopRules = directory.onApplied(async ({ appIds, tokenApps }) => {
    await Promise.all([
      recheckSockets(appIds, registry, rules, metrics),
      recheckSockets(tokenApps, registry, rules, metrics, reliesOnToken),
    ]);
  });
  const expiryWatch = new ExpiryWatch({
    directory,
    clock,
    ended: (appIds) => void recheckSockets(appIds, registry, rules, metrics),
  });
  const stopFirstReport = directory.onStateChange(() => {
    // At once, so that a process that dies young has been heard of.
    if (directory.ready()) void factReporter.tell();
  });
  const stopFence = directory.onStateChange(() => {
    if (directory.fenced()) void recheckSockets([...registry.apps()], registry, rules, metrics);
  });
  const stopGeography = geography.onChange(() => {
    const asking = [...registry.apps()].filter(
      (appId) => (directory.appById(appId)?.access.countries ?? null) !== null,
    );
    void recheckSockets(asking, registry, rules, metrics);
  });
  const liveness = setInterval(() => {
    for (const socket of registry.all()) socket.checkLiveness();
  }, LIVENESS_CHECK_MS).unref();

  const watching = setInterval(() => void watchlists.reconcile(), WATCHLIST_CHECK_MS).unref();

  const transport = await secureServer(app.server, transportSettings, {
    registry: parts.metricsRegistry,
    log,
  });
  if (settings.proxies.proxyProtocol === true) {
    proxyFront = new ProxyFront(app.server, {
      mustSend: (peer) => proxies.trusts(peer),
      onInvalid: () => metrics.proxyHeadersInvalid.inc(),
    });
  }
  const clients = await listen({ app, upgrade, transport }, settings.host, settings.port);
  const management =
    settings.metricsPort === undefined
      ? undefined
      : await listenManagement(
          createManagementServer(managementOf(parts.metricsRegistry, ready)),
          settings.host,
          settings.metricsPort,
        );
  log.info({ port: clients.port, metricsPort: management?.port }, 'relay is listening');

  return {
    port: clients.port,
    metricsPort: management?.port,
    ready,
    drain: async () => {
      draining = true;
      const sockets = registry.all();
      log.info({ sockets: sockets.length, seconds: settings.drainSeconds }, 'draining');
      await drain(sockets, settings.drainSeconds * 1000, (ms) => delay(ms));
    },
    [Symbol.asyncDispose]: async () => {
      draining = true;
      clearInterval(liveness);
      clearInterval(watching);
      stopRules();
      await expiryWatch[Symbol.asyncDispose]();
      stopFence();
      stopFirstReport();
      stopGeography();
      await drain(registry.all(), 0, () => Promise.resolve());
      proxyFront?.[Symbol.dispose]();
      await clients[Symbol.asyncDispose]();
      await writing[Symbol.asyncDispose]();
      await telling[Symbol.asyncDispose]();
      sweeping[Symbol.dispose]();
      await limiter[Symbol.asyncDispose]();
      await shared[Symbol.asyncDispose]();
      await webhooks[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
      await management?.[Symbol.asyncDispose]();
    },
  };
}

/** The event loop that would answer is the one that is asked about, so an answer is all that `alive` needs. */
const managementOf = (registry: Registry, ready: () => boolean): ManagementSources => ({
  ready: () => Promise.resolve(ready()),
  alive: () => Promise.resolve(true),
  metrics: () => registry.metrics(),
  contentType: registry.contentType,
});

const rosterTail = (change: RosterChange): string =>
  'added' in change ? memberAdded(change.added) : memberRemoved(change.removed);
