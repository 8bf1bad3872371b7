import type { Logger } from 'pino';
import type { Clock } from './engine/clock.ts';
import { describeError } from './engine/errors.ts';
import type { AppRegistry } from './registry/app-registry.ts';

export type PurgeOptions = {
  readonly registry: Pick<AppRegistry, 'purgeApps'>;
  /** Forgets who used what is gone. */
  readonly purgeUses: () => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Logger;
};

/** How long the rows of an app that was deleted for good can still be taken back by its appId. */
const SOFT_DELETE_MS = 7 * 86_400_000;
const EVERY_MS = 3_600_000;

/** Every hour, until the signal aborts, lets go what nobody can ask for any more. Never rejects for anything that PostgreSQL does. */
export async function purge({ registry, purgeUses, clock, log }: PurgeOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(EVERY_MS, signal);
      const purged = await registry.purgeApps(clock.now() - SOFT_DELETE_MS);
      if (purged.length > 0) log.info({ appIds: purged }, 'purged apps that were deleted 7 days ago');
      await purgeUses();
    } catch (error) {
      if (signal.aborted) return;
      log.warn(describeError(error), 'purge failed, trying again in an hour');
    }
  }
}
