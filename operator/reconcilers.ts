import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { BackendGate } from './engine/backend-gate.ts';
import type { Clock } from './engine/clock.ts';
import { Controller } from './engine/controller.ts';
import type { ControllerMetrics } from './engine/metrics.ts';
import { createKindReconciles, type KindOptions } from './kind-reconciles.ts';
import { tellOutages } from './outage-notices.ts';
import { POSTGRES } from './postgres/backend-error.ts';
import { onDatabasesChange } from './relay-app/country-databases.ts';
import type { OldCredentials } from './rotation/old-credentials.ts';
import { keyOf } from './world/object-ref.ts';
import type { Change, World } from './world/world.ts';

export type ReconcilersOptions = Omit<KindOptions, 'world' | 'oldCredentials' | 'now'> & {
  readonly world: World;
  readonly oldCredentials: OldCredentials;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ControllerMetrics;
  /** Backends that every reconcile needs. */
  readonly gates: readonly BackendGate[];
  /** Objects of one kind worked on at the same time. */
  readonly concurrency: number;
};

/**
 * Runs the controllers of every kind until the signal aborts; resolves when every running reconcile has ended. They do not know whether
 * the world is a cluster or a folder.
 */
export async function runReconcilers(options: ReconcilersOptions, signal: AbortSignal): Promise<void> {
  const { world, enforcement, oldCredentials, clock } = options;
  const kinds = createKindReconciles({ ...options, now: () => clock.now() });
  const refs = (kind: Change['kind']) => () => world.refs(kind).map(keyOf);
  const appController = createController('relayapp', options, refs('RelayApp'), kinds.app);
  const tokenController = createController('relaytoken', options, refs('RelayToken'), kinds.token);
  const certificateController = createController(
    'clientcertificate',
    options,
    refs('ClientCertificate'),
    kinds.certificate,
  );

  const postgres = options.gates.find(({ name }) => name === POSTGRES);

  const stop = [
    kinds.app.pending.start((key) => appController.enqueue(key)),
    kinds.token.pending.start((key) => tokenController.enqueue(key)),
    kinds.certificate.pending.start((key) => certificateController.enqueue(key)),
    kinds.certificate.holderWaits.start((key) => certificateController.enqueue(key)),
    onDatabasesChange(enforcement, () => {
      const asking = world.refs('RelayApp').filter((ref) => world.apps.get(ref)?.spec.access?.countries !== undefined);
      for (const ref of asking) appController.enqueue(keyOf(ref), 'low');
    }),
    world.subscribe(({ kind, ref, deleting, initial }) => {
      const priority = deleting ? 'high' : initial ? 'low' : 'normal';
      if (kind === 'RelayToken') {
        tokenController.enqueue(keyOf(ref), priority);
        return;
      }
      if (kind === 'ClientCertificate') {
        certificateController.enqueue(keyOf(ref), priority);
        return;
      }
      appController.enqueue(keyOf(ref), priority);
      // At the start every token and certificate is told of by itself.
      if (initial) return;
      for (const token of world.tokensOf(ref)) tokenController.enqueue(keyOf(token));
      for (const certificate of world.certificatesOf(ref)) certificateController.enqueue(keyOf(certificate));
    }),
  ];
  try {
    await Promise.all([
      appController.run(signal),
      tokenController.run(signal),
      certificateController.run(signal),
      postgres === undefined ? undefined : tellOutages({ ...options, gate: postgres }, signal),
    ]);
  } finally {
    for (const unsubscribe of stop) unsubscribe();
    oldCredentials.clear();
  }
}

function createController(
  name: string,
  { clock, log, metrics, gates, concurrency }: ReconcilersOptions,
  keys: () => Iterable<string>,
  { reconcile }: Pick<ConstructorParameters<typeof Controller>[0], 'reconcile'>,
): Controller {
  return new Controller({
    name,
    reconcile,
    clock,
    random: Math.random,
    newId: randomUUID,
    log,
    concurrency,
    observer: metrics.observer(name),
    resync: { keys },
    gates,
  });
}
