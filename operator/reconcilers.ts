import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { AllowedIssuers } from './client-certificate/allowed-issuers.ts';
import { applyCertificateStep } from './client-certificate/apply.ts';
import { observeCertificate } from './client-certificate/observe.ts';
import { planCertificate } from './client-certificate/plan.ts';
import type { Enforcement } from './directory/enforcement-watch.ts';
import type { BackendGate } from './engine/backend-gate.ts';
import type { Clock } from './engine/clock.ts';
import { Controller } from './engine/controller.ts';
import type { ControllerMetrics } from './engine/metrics.ts';
import { PendingKeys } from './reconcile/pending-keys.ts';
import { createReconcile } from './reconcile/reconciler.ts';
import type { CredentialUses } from './registry/credential-use.ts';
import type { Registry } from './registry/registry.ts';
import { applyAppStep } from './relay-app/apply.ts';
import { onDatabasesChange } from './relay-app/country-databases.ts';
import { observeApp } from './relay-app/observe.ts';
import { planApp } from './relay-app/plan.ts';
import type { Endpoints } from './relay-app/snapshot.ts';
import { applyTokenStep } from './relay-token/apply.ts';
import { observeToken } from './relay-token/observe.ts';
import { planToken } from './relay-token/plan.ts';
import type { OldCredentials } from './rotation/old-credentials.ts';
import { keyOf } from './world/object-ref.ts';
import type { World } from './world/world.ts';

export type ReconcilersOptions = {
  readonly world: World;
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly uses: CredentialUses;
  readonly oldCredentials: OldCredentials;
  readonly endpoints: Endpoints;
  /** This operator can send mail. */
  readonly mail: boolean;
  /** Who may sign the certificates that ClientCertificates ask for. */
  readonly allowedIssuers: AllowedIssuers;
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
  const { world, registry, enforcement, uses, oldCredentials, endpoints, mail, allowedIssuers, clock } = options;
  const { apps, tokens, certificates, secrets, certManager, recorder } = world;
  const now = (): number => clock.now();
  const pendingApps = new PendingKeys(enforcement);
  const pendingTokens = new PendingKeys(enforcement);
  const pendingCertificates = new PendingKeys(enforcement);

  const appController = createController('relayapp', options, () => world.refs('RelayApp').map(keyOf), {
    reconcile: createReconcile(
      {
        observe: (ref) => observeApp({ apps, secrets, registry, enforcement, uses, endpoints, mail, now }, ref),
        plan: (snapshot) => {
          const plan = planApp(snapshot);
          oldCredentials.set('RelayApp', keyOf(snapshot.object.metadata), plan.oldInUse ?? 0);
          return plan;
        },
        apply: (object, step) => applyAppStep({ apps, secrets, registry, recorder }, object, step),
        writeStatus: (object, status) => apps.writeStatus(object, status),
      },
      enforcement,
      pendingApps,
    ),
  });
  const tokenController = createController('relaytoken', options, () => world.refs('RelayToken').map(keyOf), {
    reconcile: createReconcile(
      {
        observe: (ref) =>
          observeToken({ apps, tokens, secrets, registry, enforcement, uses, relayUrl: endpoints.public, now }, ref),
        plan: (snapshot) => {
          const plan = planToken(snapshot);
          oldCredentials.set('RelayToken', keyOf(snapshot.object.metadata), plan.oldInUse ?? 0);
          return plan;
        },
        apply: (object, step) =>
          applyTokenStep({ tokens, secrets, registry, recorder, relayUrl: endpoints.public }, object, step),
        writeStatus: (object, status) => tokens.writeStatus(object, status),
      },
      enforcement,
      pendingTokens,
    ),
  });

  const certificateController = createController(
    'clientcertificate',
    options,
    () => world.refs('ClientCertificate').map(keyOf),
    {
      reconcile: createReconcile(
        {
          observe: (ref) =>
            observeCertificate(
              { apps, certificates, secrets, certManager, registry, enforcement, allowedIssuers, now },
              ref,
            ),
          plan: planCertificate,
          apply: (object, step) =>
            applyCertificateStep({ certificates, secrets, certManager, registry, recorder }, object, step),
          writeStatus: (object, status) => certificates.writeStatus(object, status),
        },
        enforcement,
        pendingCertificates,
      ),
    },
  );

  const stop = [
    pendingApps.start((key) => appController.enqueue(key)),
    pendingTokens.start((key) => tokenController.enqueue(key)),
    pendingCertificates.start((key) => certificateController.enqueue(key)),
    onDatabasesChange(enforcement, () => {
      const asking = world.refs('RelayApp').filter((ref) => apps.get(ref)?.spec.access?.countries !== undefined);
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
    await Promise.all([appController.run(signal), tokenController.run(signal), certificateController.run(signal)]);
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
