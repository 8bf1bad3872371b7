import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { Bus, BusListener } from './bus/bus.ts';
import { Signals } from './bus/signals.ts';
import type { EventCache } from './cache/event-cache.ts';
import { onTerminateUser } from './connections/termination.ts';
import type { Directory } from './directory/directory.ts';
import { rulesOf } from './occupancy/app-rules.ts';
import { SharedState } from './occupancy/shared-state.ts';
import type { OccupancyStore } from './occupancy/store.ts';
import type { RosterChange } from './presence/presence.ts';
import { memberAdded, memberRemoved } from './protocol/server-message.ts';
import { createApp } from './server/app.ts';
import { ChannelFacts } from './server/channel-facts.ts';
import { ChannelCounts } from './server/channel-counts.ts';
import { drain } from './server/drain.ts';
import { FanOut, type Subscriber } from './server/fan-out.ts';
import { Holds } from './server/holds.ts';
import { Hub } from './server/hub.ts';
import { createManagementServer } from './server/management.ts';
import { Memberships } from './server/memberships.ts';
import { relayMetrics } from './server/metrics.ts';
import { Outbox } from './server/outbox.ts';
import { recheckSockets } from './server/rule-changes.ts';
import { listen, listenManagement } from './server/server.ts';
import type { RelaySocket } from './server/socket.ts';
import { SocketRegistry } from './server/socket-registry.ts';
import { Upgrade } from './server/upgrade.ts';
import { Users } from './users/users.ts';
import { Watchlists } from './users/watchlists.ts';
import type { WebhookSink } from './webhooks/webhook-sink.ts';

/** What differs between a relay of a cluster and one in a single process: Redis behind these, or memory. */
export type RelayParts = {
  readonly directory: Directory;
  readonly bus: (listener: BusListener) => Bus;
  /** Counts and presence over all replicas; closed with the relay. */
  readonly occupancyStore: OccupancyStore;
  /** The last event of cache channels. */
  readonly cache: EventCache;
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
};

export type Relay = AsyncDisposable & {
  /** Where clients connect. */
  readonly port: number;
  readonly metricsPort: number | undefined;
  readonly ready: () => boolean;
  /** Not ready from now on; sends every socket away with 4200 over the drain time. Resolves when the last one is gone. */
  readonly drain: () => Promise<void>;
};

const LIVENESS_CHECK_MS = 1_000;

/** Watchlists ask the store about everybody this often: a signal may be lost with the connection that should have brought it. */
const WATCHLIST_CHECK_MS = 30_000;

// Until webhooks are wired in here.
const NO_WEBHOOKS: WebhookSink = { enqueue: () => undefined };

/**
 * Puts a relay together and opens its ports. It constructs no clients (context.ts does) and does not own the directory. Disposing cuts
 * what is left of sockets, finishes requests and closes bus and counts.
 */
export async function createRelay(parts: RelayParts, settings: RelaySettings): Promise<Relay> {
  const { directory, log } = parts;
  let draining = false;
  const ready = (): boolean => directory.ready() && !directory.fenced() && !draining;
  const now = (): number => performance.now();

  const registry = new SocketRegistry<RelaySocket>();
  const metrics = relayMetrics(parts.metricsRegistry, { connections: () => registry.size, ready });
  const outbox = new Outbox(settings.maxUnsentBytes);
  const { cache } = parts;
  const holds = new Holds<Subscriber>();
  const fanOut = new FanOut({ registry, holds, outbox, cache, directory, metrics });
  const signals = new Signals();
  const bus = parts.bus((appId, channel, message) => {
    if (message.kind === 'event') fanOut.deliver(appId, channel, message);
    else signals.dispatch(appId, channel, message);
  });
  const shared = new SharedState({
    store: parts.occupancyStore,
    local: registry,
    signals,
    rules: (appId) => rulesOf(directory.appById(appId)),
    rosterListener: (appId, channel, change) => {
      fanOut.tellMembers(appId, channel, rosterTail(change));
    },
    onWebhooks: () => undefined,
    onRecovered: () => undefined,
    now,
    log,
  });
  const { occupancy, presence } = shared;
  const webhooks = NO_WEBHOOKS;
  const watchlists = new Watchlists({ bus, signals, occupancy });
  const hub = new Hub({
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
    directory,
    metrics,
    now,
    wallClock: Date.now,
    maxSubscriptions: settings.maxSubscriptions,
  });
  const counts = new ChannelCounts(occupancy, metrics);
  const facts = new ChannelFacts({ counts, presence, cache, metrics });
  onTerminateUser(signals, registry);
  const app = createApp({ directory, wallClock: Date.now, fanOut, bus, signals, facts, metrics, log });
  parts.routes?.(app);
  const upgrade = new Upgrade({ hub, directory, occupancy, draining: () => draining });

  const stopRules = directory.onApplied(({ appIds }) => recheckSockets(appIds, registry, directory, metrics));
  const stopFence = directory.onStateChange(() => {
    if (directory.fenced()) void recheckSockets([...registry.apps()], registry, directory, metrics);
  });
  const liveness = setInterval(() => {
    for (const socket of registry.all()) socket.checkLiveness();
  }, LIVENESS_CHECK_MS).unref();

  const watching = setInterval(() => void watchlists.reconcile(), WATCHLIST_CHECK_MS).unref();

  const clients = await listen(app, upgrade, settings.host, settings.port);
  const management =
    settings.metricsPort === undefined
      ? undefined
      : await listenManagement(createManagementServer(metrics, ready), settings.host, settings.metricsPort);
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
      stopFence();
      await drain(registry.all(), 0, () => Promise.resolve());
      await clients[Symbol.asyncDispose]();
      await shared[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
      await management?.[Symbol.asyncDispose]();
    },
  };
}

const rosterTail = (change: RosterChange): string =>
  'added' in change ? memberAdded(change.added) : memberRemoved(change.removed);
