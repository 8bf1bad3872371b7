import type { Logger } from 'pino';
import type { RelayObject } from '#crds/relay-object.ts';
import type { BackendGate } from './engine/backend-gate.ts';
import type { Clock } from './engine/clock.ts';
import { describeError } from './engine/errors.ts';
import { outageConditions } from './reconcile/outage-notice.ts';
import type { ObjectRef } from './world/object-ref.ts';
import type { Objects } from './world/objects.ts';
import type { World } from './world/world.ts';

export type OutageNoticesOptions = {
  readonly world: Pick<World, 'apps' | 'tokens' | 'certificates' | 'refs' | 'subscribe'>;
  /** That of PostgreSQL. */
  readonly gate: BackendGate;
  readonly clock: Clock;
  readonly log: Logger;
};

/** A shorter outage is not worth two writes for each object that waits. */
const PATIENCE_MS = 5_000;
/** What people apply at once is looked through at once. */
const GATHER_MS = 500;

/**
 * While PostgreSQL is away nothing is reconciled, and an edit seems to be ignored. Until the signal aborts, says so on the objects that wait, once
 * each in an outage, one after the other; those that nobody touched are left alone.
 */
export async function tellOutages(
  { world, gate, clock, log }: OutageNoticesOptions,
  signal: AbortSignal,
): Promise<void> {
  const tell = async <T extends RelayObject>(objects: Objects<T>, refs: readonly ObjectRef[]): Promise<void> => {
    for (const ref of refs) {
      if (gate.open || signal.aborted) return;
      const object = objects.get(ref);
      const conditions = object && outageConditions(object, clock.now());
      if (object === undefined || conditions === undefined) continue;
      try {
        await objects.writeStatus(object, { ...object.status, conditions });
      } catch (error) {
        // It has changed, which is another reason to look; or the API server is away as well.
        log.debug({ ...describeError(error), ...ref }, 'could not say on an object that it waits for PostgreSQL');
      }
    }
  };
  let isNews = false;
  let wake = (): void => {};
  const tellNews = (): void => {
    isNews = true;
    wake();
  };
  const news = async (): Promise<void> => {
    if (!isNews && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
    isNews = false;
  };
  const stop = [
    gate.onChange(tellNews),
    world.subscribe(() => {
      if (!gate.open) tellNews();
    }),
  ];
  signal.addEventListener('abort', tellNews, { once: true });
  try {
    while (!signal.aborted) {
      if (gate.open) {
        await news();
        continue;
      }
      await clock.sleep(PATIENCE_MS, signal);
      while (!gate.open) {
        await tell(world.apps, world.refs('RelayApp'));
        await tell(world.tokens, world.refs('RelayToken'));
        await tell(world.certificates, world.refs('ClientCertificate'));
        await news();
        await clock.sleep(GATHER_MS, signal);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', tellNews);
    for (const unsubscribe of stop) unsubscribe();
  }
}
