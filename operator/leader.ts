import { NotLeadingError } from './directory/errors.ts';
import type { Publisher } from './directory/publisher.ts';
import { describeError } from './engine/errors.ts';
import { reseal, type ResealOptions } from './encryption/reseal.ts';
import type { FactReader } from './facts/fact-reader.ts';
import { deliver, type DeliveryOptions } from './notifications/delivery.ts';
import { purge, type PurgeOptions } from './purge.ts';
import { runReconcilers, type ReconcilersOptions } from './reconcilers.ts';

export type LeaderOptions = ReconcilersOptions & {
  readonly publisher: Publisher;
  readonly facts: FactReader;
  readonly delivery: DeliveryOptions;
  readonly reseal: ResealOptions;
  readonly purgeUses: PurgeOptions['purgeUses'];
};

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
