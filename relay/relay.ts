import { setTimeout as delay } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { assembleRelay } from './assembly.ts';
import { keepTelling } from './facts/fact-reporter.ts';
import { keepSweeping } from './limits/rate-limiter.ts';
import type { RelayParts, RelaySettings } from './relay-parts.ts';
import { drain } from './server/drain.ts';
import { createManagementServer, type ManagementSources } from './server/management.ts';
import { listen, listenManagement } from './server/server.ts';
import { keepRechecking } from './server/socket-rechecks.ts';
import { PLAINTEXT, secureServer } from './transport/transport.ts';
import { keepWriting } from './usage/usage.ts';

export type Relay = AsyncDisposable & {
  /** Where clients connect. */
  readonly port: number;
  readonly metricsPort: number | undefined;
  readonly ready: () => boolean;
  /** Not ready from now on; sends every socket away with 4200 over the drain time. Resolves when the last one is gone. */
  readonly drain: () => Promise<void>;
};

const LIVENESS_CHECK_MS = 1_000;

/** A first use of a credential is told of within this time. */
const FACTS_EVERY_MS = 5_000;

/** Watchlists ask the store about everybody this often: a signal may be lost with the connection that should have brought it. */
const WATCHLIST_CHECK_MS = 30_000;

/**
 * Puts a relay together, keeps it going and opens its ports. It constructs no clients (context.ts does) and does not own the directory.
 * Disposing cuts what is left of sockets, finishes requests and closes bus and counts.
 */
export async function createRelay(parts: RelayParts, settings: RelaySettings): Promise<Relay> {
  const { directory, log, metricsRegistry } = parts;
  let draining = false;
  const ready = (): boolean => directory.ready() && !directory.fenced() && !draining;
  const built = assembleRelay(parts, settings, { ready, draining: () => draining });
  const { app, upgrade, callers, registry, rules, limiter, factReporter, watchlists } = built;

  const sweeping = keepSweeping(limiter);
  const writing = keepWriting(built.usage, rules.wallClock);
  const telling = keepTelling(factReporter, parts.factTimes?.everyMs ?? FACTS_EVERY_MS);
  const rechecking = keepRechecking(built);
  const stopFirstReport = directory.onStateChange(() => {
    // At once, so that a process that dies young has been heard of.
    if (directory.ready()) void factReporter.tell();
  });
  const liveness = setInterval(() => {
    for (const socket of registry.all()) socket.checkLiveness();
  }, LIVENESS_CHECK_MS).unref();
  const watching = setInterval(() => void watchlists.reconcile(), WATCHLIST_CHECK_MS).unref();

  const transport = await secureServer(app.server, settings.transport ?? PLAINTEXT, { registry: metricsRegistry, log });
  const proxyHeaders = callers.readProxyHeaders(app.server);
  const clients = await listen({ app, upgrade, transport }, settings.host, settings.port);
  const management =
    settings.metricsPort === undefined
      ? undefined
      : await listenManagement(
          createManagementServer(managementOf(metricsRegistry, ready)),
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
      stopFirstReport();
      await rechecking[Symbol.asyncDispose]();
      await drain(registry.all(), 0, () => Promise.resolve());
      proxyHeaders[Symbol.dispose]();
      await clients[Symbol.asyncDispose]();
      await writing[Symbol.asyncDispose]();
      await telling[Symbol.asyncDispose]();
      sweeping[Symbol.dispose]();
      await limiter[Symbol.asyncDispose]();
      await built.shared[Symbol.asyncDispose]();
      await built.webhooks[Symbol.asyncDispose]();
      await built.bus[Symbol.asyncDispose]();
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
