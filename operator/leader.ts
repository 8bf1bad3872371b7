import { NotLeadingError } from './directory/errors.ts';
import { describeError } from './engine/errors.ts';
import { reseal } from './encryption/reseal.ts';
import { deliver, type DeliveryOptions } from './notifications/delivery.ts';
import { purge } from './purge.ts';
import { runReconcilers, type ReconcilersOptions } from './reconcilers.ts';
import type { RelayState } from './relay-state.ts';

export type LeaderOptions = RelayState &
  ReconcilersOptions & {
    /** Default: nobody is told of anything by mail or in a chat. */
    readonly delivery?: DeliveryOptions;
  };

/**
 * Publishes the directory and does what a leader does, until the signal aborts, or until PostgreSQL knows a newer leader (the directory's
 * term is the last word, whatever the lease says); then everything else stops with it.
 */
export async function lead(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { publisher, log } = options;
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
  const work = async (): Promise<void> => {
    try {
      await leaderWork(options, both);
    } finally {
      ending.abort();
    }
  };
  await Promise.all([publish(), work()]);
}

/**
 * What only the leader does besides publishing: reconcile, hear what relays tell, tell people, encrypt anew, purge. Until the signal aborts;
 * the directory must be published meanwhile.
 */
export async function leaderWork(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const { facts, delivery } = options;
  await Promise.all([
    runReconcilers(options, signal),
    facts.run(signal),
    delivery === undefined ? undefined : deliver(delivery, signal),
    reseal(options.reseal, signal),
    purge(options, signal),
  ]);
}
