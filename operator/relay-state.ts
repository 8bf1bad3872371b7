import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Registry as MetricsRegistry } from 'prom-client';
import { monotonicClock } from './directory/clock.ts';
import { EnforcementWatch } from './directory/enforcement-watch.ts';
import { createPublisherMetrics } from './directory/metrics.ts';
import { PropagationTimes } from './directory/propagation-times.ts';
import { Publisher, type PublisherOptions } from './directory/publisher.ts';
import type { ResealOptions } from './encryption/reseal.ts';
import { FactReader } from './facts/fact-reader.ts';
import type { FactStream } from './facts/fact-stream.ts';
import { createFactReaderMetrics } from './facts/metrics.ts';
import type { RegistryOptions } from './postgres/app-change.ts';
import { createCredentialUses, purgeCredentialUses, writeCredentialUses } from './postgres/credential-use.ts';
import { createDirectoryCommit } from './postgres/directory-commit.ts';
import { createFactStore } from './postgres/fact-store.ts';
import { createRegistryLog } from './postgres/registry-log.ts';
import { createRegistry } from './postgres/registry.ts';
import { createSealedSecrets } from './postgres/sealed-secrets.ts';
import type { CredentialUses } from './registry/credential-use.ts';
import type { Registry } from './registry/registry.ts';

/** What is wanted of the relays, on its way from PostgreSQL to each of them, and what they tell on the way back. */
export type RelayState = {
  readonly publisher: Publisher;
  readonly enforcement: EnforcementWatch;
  readonly registry: Registry;
  readonly facts: FactReader;
  readonly uses: CredentialUses;
  readonly purgeUses: () => Promise<unknown>;
  readonly reseal: ResealOptions;
};

export type RelayStateOptions = Pick<RegistryOptions, 'pool' | 'rings' | 'channels'> &
  Pick<PublisherOptions, 'store' | 'podLook' | 'reportWaitMs' | 'saidElsewhere'> & {
    /** What relays tell. */
    readonly stream: FactStream;
    /** How often that is read, ms. Default: FactReader's. */
    readonly factsEveryMs?: number;
    /** Epoch ms, of what credentials go by. */
    readonly now: () => number;
    readonly log: Logger;
    /** Default: `log`. */
    readonly publisherLog?: Logger;
    readonly metrics: MetricsRegistry;
  };

/** Puts it together; nothing runs yet (leader.ts). */
export function createRelayState(options: RelayStateOptions): RelayState {
  const { pool, rings, channels, store, podLook, reportWaitMs, stream, factsEveryMs, now, log, metrics } = options;
  const saidElsewhere = options.saidElsewhere ?? (() => false);
  const clock = monotonicClock;
  const enforcement = new EnforcementWatch(clock);
  const publisherMetrics = createPublisherMetrics(metrics);
  const times = new PropagationTimes({ enforcement, clock, seconds: publisherMetrics.enforcedSeconds });
  const publisher = new Publisher({
    keyring: rings.directory,
    registry: createRegistryLog({ pool, keyring: rings.directory, random: randomBytes }),
    store,
    clock,
    enforcement,
    log: options.publisherLog ?? log,
    metrics: publisherMetrics,
    saidElsewhere,
    ...(podLook === undefined ? {} : { podLook }),
    ...(reportWaitMs === undefined ? {} : { reportWaitMs }),
  });
  const term = (): number | undefined => publisher.term();
  const commit = createDirectoryCommit({
    pool,
    keyring: rings.directory,
    term,
    onCommitted: (revision, change) => {
      times.committed(revision, change);
      publisher.wake();
    },
  });
  const facts: FactReader = new FactReader({
    keyring: rings.directory,
    stream,
    store: createFactStore({ pool, commit, writers: [writeCredentialUses] }),
    term,
    view: () => enforcement.view(),
    clock,
    now,
    log,
    metrics: createFactReaderMetrics(metrics, () => facts.lagSeconds()),
    saidElsewhere,
    ...(factsEveryMs === undefined ? {} : { everyMs: factsEveryMs }),
  });
  return {
    publisher,
    enforcement,
    registry: createRegistry({ pool, commit, rings, now, ...(channels === undefined ? {} : { channels }) }),
    facts,
    uses: createCredentialUses({ pool, knownUntil: () => facts.knownUntil() }),
    purgeUses: () => purgeCredentialUses(commit),
    reseal: {
      secrets: createSealedSecrets({ pool, rings }),
      encryption: rings.encryption,
      term,
      clock,
      log,
      saidElsewhere,
    },
  };
}
