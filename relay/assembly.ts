import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { noGeography } from './access/geoip-database.ts';
import { geoipMetrics } from './access/geoip-metrics.ts';
import { SecurityEvents } from './activity/security-events.ts';
import type { Bus } from './bus/bus.ts';
import { Signals } from './bus/signals.ts';
import { arrivalsOf } from './connections/arrivals.ts';
import { connectionAnswers, Connections } from './connections/connections.ts';
import { Questions } from './connections/questions.ts';
import { onTerminateUser } from './connections/termination.ts';
import { useOfOpenSockets } from './credential-use/open-sockets.ts';
import { UseTally } from './credential-use/use-tally.ts';
import { monotonicClock } from './directory/clock.ts';
import { FactReporter } from './facts/fact-reporter.ts';
import { factMetrics } from './facts/metrics.ts';
import { RateLimiter } from './limits/rate-limiter.ts';
import { rulesOf } from './occupancy/app-rules.ts';
import { SharedState } from './occupancy/shared-state.ts';
import type { RosterChange } from './presence/presence.ts';
import { memberAdded, memberRemoved } from './protocol/server-message.ts';
import type { RelayParts, RelaySettings } from './relay-parts.ts';
import { screeningMetrics } from './screening/metrics.ts';
import { Screening } from './screening/screening.ts';
import { createApp } from './server/app.ts';
import { Callers } from './server/callers.ts';
import { ChannelCounts } from './server/channel-counts.ts';
import { ChannelFacts } from './server/channel-facts.ts';
import type { ExpiryClock } from './server/expiry-watch.ts';
import { FanOut, type Subscriber } from './server/fan-out.ts';
import { Holds } from './server/holds.ts';
import { Hub } from './server/hub.ts';
import { Memberships } from './server/memberships.ts';
import { relayMetrics, type RelayMetrics } from './server/metrics.ts';
import { Outbox } from './server/outbox.ts';
import type { Rules } from './server/rule-changes.ts';
import { SocketRegistry } from './server/socket-registry.ts';
import type { RelaySocket } from './server/socket.ts';
import { Upgrade } from './server/upgrade.ts';
import { Usage } from './usage/usage.ts';
import { Users } from './users/users.ts';
import { Watchlists } from './users/watchlists.ts';
import { webhookMetrics } from './webhooks/metrics.ts';
import { QueuedWebhooks } from './webhooks/webhooks.ts';

/** How far a relay is with serving: what its doors and its metrics ask. */
export type Phase = { readonly ready: () => boolean; readonly draining: () => boolean };

/** What a relay is built of, as far as whoever starts and stops it needs it. */
export type AssembledRelay = {
  /** The two doors, not listening yet. */
  readonly app: FastifyInstance;
  readonly upgrade: Upgrade;
  readonly callers: Callers;
  readonly registry: SocketRegistry<RelaySocket>;
  readonly rules: Rules;
  /** What credentials go by. */
  readonly clock: ExpiryClock;
  readonly limiter: RateLimiter;
  readonly usage: Usage;
  readonly factReporter: FactReporter;
  readonly watchlists: Watchlists;
  readonly shared: SharedState;
  readonly webhooks: QueuedWebhooks;
  readonly bus: Bus;
  readonly metrics: RelayMetrics;
};

/** How often it is told that a credential is still in use, after its first use was. */
const TOLD_AGAIN_MS = 60_000;

/** Builds what a relay consists of and makes known to each other what has to know each other. Opens no port. */
export function assembleRelay(parts: RelayParts, settings: RelaySettings, phase: Phase): AssembledRelay {
  const { directory, log, cache, replica, usageStore, publicKeys, metricsRegistry } = parts;
  const { rates } = settings;
  const now = parts.now ?? ((): number => performance.now());
  const machine = { ...monotonicClock, now: Date.now };
  const clock = parts.clock ?? machine;
  const wallClock = (): number => clock.now();

  const registry = new SocketRegistry<RelaySocket>();
  const metrics = relayMetrics(metricsRegistry, {
    connections: () => registry.size,
    ready: phase.ready,
    replicas: () => parts.rateStore.replicas(),
  });
  const callers = new Callers(settings.proxies, settings.transport?.requireTls === true, metrics);
  const geography = parts.geography ?? noGeography(geoipMetrics(metricsRegistry));
  const limiter = new RateLimiter(parts.rateStore, now, () => metrics.degraded.inc({ part: 'rate' }));
  const outbox = new Outbox(settings.maxUnsentBytes, now);
  const connections = (appId: string): number => registry.connections(appId);
  const usage = new Usage({ store: usageStore, connections, wallClock });
  const credentialUses = new UseTally(
    useOfOpenSockets(registry, directory),
    parts.factTimes?.toldAgainMs ?? TOLD_AGAIN_MS,
  );
  const factReporter = new FactReporter({
    ...parts.facts,
    source: credentialUses,
    wallClock,
    metrics: factMetrics(metricsRegistry),
  });
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
    metrics: webhookMetrics(metricsRegistry),
    log,
  });
  const screening = new Screening({
    metrics: screeningMetrics(metricsRegistry),
    activity: parts.activity,
    log,
    now,
  });
  const securityEvents = new SecurityEvents({ activity: parts.activity, log, now });
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
  onTerminateUser(signals, registry);
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
    arrivals: arrivalsOf({ usage, bus, connections }),
    directory,
    metrics,
    now,
    wallClock,
    maxSubscriptions: settings.maxSubscriptions,
  });
  const { proxies, certificates, tlsMissing } = callers;
  /** What both doors ask. */
  const door = {
    directory,
    proxies,
    certificates,
    geography,
    tlsMissing,
    limiter,
    rates,
    wallClock,
    log,
    securityEvents,
  };
  const app = createApp({
    ...door,
    fanOut,
    bus,
    signals,
    facts: new ChannelFacts({ counts: new ChannelCounts(occupancy, metrics), presence, cache, metrics }),
    screening,
    connections: new Connections(questions),
    usage,
    credentialUses,
    usageStore,
    publicKeys,
    metrics,
  });
  parts.routes?.(app);
  const upgrade = new Upgrade({ ...door, hub, occupancy, draining: phase.draining });
  return {
    app,
    upgrade,
    callers,
    registry,
    rules: { directory, geography, wallClock },
    clock,
    limiter,
    usage,
    factReporter,
    watchlists,
    shared,
    webhooks,
    bus,
    metrics,
  };
}

const rosterTail = (change: RosterChange): string =>
  'added' in change ? memberAdded(change.added) : memberRemoved(change.removed);
