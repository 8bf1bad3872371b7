import type pg from 'pg';
import type { Logger } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import type { DirectoryStore } from '#operator/directory/directory-store.ts';
import { BackendGate } from '#operator/engine/backend-gate.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { ControllerMetrics } from '#operator/engine/metrics.ts';
import type { FactStream } from '#operator/facts/fact-stream.ts';
import { leaderWork } from '#operator/leader.ts';
import { EarlyStatuses } from '#operator/reconcile/early-statuses.ts';
import { OldCredentials } from '#operator/rotation/old-credentials.ts';
import { createRelayState } from '#operator/relay-state.ts';
import type { World } from '#operator/world/world.ts';
import type { Keys } from './keys.ts';

export type OperatorParts = {
  readonly pool: pg.Pool;
  readonly keys: Keys;
  readonly store: DirectoryStore;
  /** What the relay tells. */
  readonly facts: FactStream;
  readonly world: World;
  /** Where clients find the relay, for the Secrets. */
  readonly url: string;
  readonly log: Logger;
};

/** The operator of one process: the publisher leads from the start, for nobody else is there. */
export type Operator = {
  /** Keeps the directory until the signal aborts. */
  publish(signal: AbortSignal): Promise<void>;
  /** Reconciles until the signal aborts; the directory must be kept meanwhile. */
  reconcile(signal: AbortSignal): Promise<void>;
};

const INSTALLATION = 'standalone';
const CONCURRENCY = 4;

export function createOperator({ pool, keys, store, facts: stream, world, url, log }: OperatorParts): Operator {
  const metrics = new MetricsRegistry();
  const state = createRelayState({
    pool,
    rings: { installation: INSTALLATION, encryption: keys.encryption, directory: keys.directory },
    store,
    stream,
    // The only relay there can be is in this process and holds nothing yet.
    reportWaitMs: 0,
    now: Date.now,
    log,
    // At warn it would say at every start that the directory is empty: it is in memory.
    publisherLog: log.level === 'warn' ? log.child({}, { level: 'error' }) : log,
    metrics,
  });
  const postgres = new BackendGate({
    name: 'postgres',
    clock: systemClock,
    random: Math.random,
    log,
    probe: async () => {
      await pool.query('SELECT 1');
    },
  });
  return {
    publish: (signal) => state.publisher.run(signal),
    reconcile: async (signal) => {
      const leading = {
        ...state,
        world,
        oldCredentials: new OldCredentials(metrics),
        earlyStatuses: new EarlyStatuses(metrics),
        mail: false,
        endpoints: { public: url, internal: url },
        // There is no cert-manager here that could sign.
        allowedIssuers: [],
        clock: systemClock,
        log,
        metrics: new ControllerMetrics(metrics),
        gates: [postgres],
        concurrency: CONCURRENCY,
      };
      await Promise.all([postgres.run(signal), leaderWork(leading, signal)]);
    },
  };
}
