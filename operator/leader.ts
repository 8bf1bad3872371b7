import { NotLeadingError } from './directory/errors.ts';
import type { Publisher } from './directory/publisher.ts';
import { describeError } from './engine/errors.ts';
import { reseal, type ResealOptions } from './encryption/reseal.ts';
import type { FactReader } from './facts/fact-reader.ts';
import { deliver, type DeliveryOptions } from './notifications/delivery.ts';
import { runReconcilers, type ReconcilersOptions } from './reconcilers.ts';

export type LeaderOptions = ReconcilersOptions & {
  readonly publisher: Publisher;
  readonly facts: FactReader;
  readonly delivery: DeliveryOptions;
  readonly reseal: ResealOptions;
  /** Forgets who used what is gone. */
  readonly purgeUses: () => Promise<unknown>;
};

/** How long the rows of an app that was deleted for good can still be taken back by its appId. */
const SOFT_DELETE_MS = 7 * 86_400_000;
const PURGE_EVERY_MS = 3_600_000;

/**
 * What only the leader does: publish the directory, reconcile, hear what relays tell, tell people, encrypt anew, purge. Ends when the signal
 * aborts, or when PostgreSQL knows a newer leader (the directory's term is the last word, whatever the lease says); then everything else stops with it.
 */
export async function lead(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { publisher, facts, delivery, log } = options;
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const publish = async (): Promise<void> => {
    try {
      await publisher.run(both);
    } catch (error) {
      if (!(error instanceof NotLeadingError)) throw error;
      log.warn(describeError(error), 'stepping down');
    } finally {
      ending.abort();
    }
  };
  const reconcile = async (): Promise<void> => {
    try {
      await runReconcilers(options, both);
    } finally {
      ending.abort();
    }
  };
  await Promise.all([
    publish(),
    reconcile(),
    facts.run(both),
    deliver(delivery, both),
    reseal(options.reseal, both),
    purge(options, both),
  ]);
}

async function purge({ registry, purgeUses, clock, log }: LeaderOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(PURGE_EVERY_MS, signal);
      const purged = await registry.purgeApps(clock.now() - SOFT_DELETE_MS);
      if (purged.length > 0) log.info({ appIds: purged }, 'purged apps that were deleted 7 days ago');
      await purgeUses();
    } catch (error) {
      if (signal.aborted) return;
      log.warn(describeError(error), 'purge failed, trying again in an hour');
    }
  }
}
