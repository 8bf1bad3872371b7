import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Logger } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { monotonicClock } from '#operator/directory/clock.ts';
import type { DirectoryStore } from '#operator/directory/directory-store.ts';
import { EnforcementWatch } from '#operator/directory/enforcement-watch.ts';
import { Publisher } from '#operator/directory/publisher.ts';
import { BackendGate } from '#operator/engine/backend-gate.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { ControllerMetrics } from '#operator/engine/metrics.ts';
import { reseal } from '#operator/encryption/reseal.ts';
import { FactReader } from '#operator/facts/fact-reader.ts';
import type { FactStream } from '#operator/facts/fact-stream.ts';
import { createFactReaderMetrics } from '#operator/facts/metrics.ts';
import { createCredentialUses, purgeCredentialUses, writeCredentialUses } from '#operator/postgres/credential-use.ts';
import { createDirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createFactStore } from '#operator/postgres/fact-store.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import { createSealedSecrets } from '#operator/postgres/sealed-secrets.ts';
import { OldCredentials } from '#operator/rotation/old-credentials.ts';
import { purge } from '#operator/purge.ts';
import { runReconcilers } from '#operator/reconcilers.ts';
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
  const enforcement = new EnforcementWatch(monotonicClock);
  const publisher = new Publisher({
    keyring: keys.directory,
    registry: createRegistryLog({ pool, keyring: keys.directory, random: randomBytes }),
    store,
    clock: monotonicClock,
    enforcement,
    // At warn it would say at every start that the directory is empty: it is in memory.
    log: log.level === 'warn' ? log.child({}, { level: 'error' }) : log,
    // The only relay there can be is in this process and holds nothing yet.
    reportWaitMs: 0,
  });
  const commit = createDirectoryCommit({
    pool,
    keyring: keys.directory,
    term: () => publisher.term(),
    onCommitted: () => publisher.wake(),
  });
  const facts: FactReader = new FactReader({
    keyring: keys.directory,
    stream,
    store: createFactStore({ pool, commit, writers: [writeCredentialUses] }),
    term: () => publisher.term(),
    view: () => enforcement.view(),
    clock: monotonicClock,
    now: Date.now,
    log,
    metrics: createFactReaderMetrics(metrics, () => facts.lagSeconds()),
  });
  const uses = createCredentialUses({ pool, knownUntil: () => facts.knownUntil() });
  const rings = { installation: INSTALLATION, encryption: keys.encryption, directory: keys.directory };
  const registry = createRegistry({ pool, commit, rings, now: Date.now });
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
    publish: (signal) => publisher.run(signal),
    reconcile: async (signal) => {
      await Promise.all([
        postgres.run(signal),
        facts.run(signal),
        reseal(
          {
            secrets: createSealedSecrets({ pool, rings }),
            encryption: keys.encryption,
            term: () => publisher.term(),
            clock: monotonicClock,
            log,
          },
          signal,
        ),
        purge({ registry, purgeUses: () => purgeCredentialUses(commit), clock: systemClock, log }, signal),
        runReconcilers(
          {
            world,
            registry,
            uses,
            enforcement,
            oldCredentials: new OldCredentials(metrics),
            mail: false,
            endpoints: { public: url, internal: url },
            // There is no cert-manager here that could sign.
            allowedIssuers: [],
            clock: systemClock,
            log,
            metrics: new ControllerMetrics(metrics),
            gates: [postgres],
            concurrency: CONCURRENCY,
          },
          signal,
        ),
      ]);
    },
  };
}
