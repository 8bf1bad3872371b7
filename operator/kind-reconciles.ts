import type { AllowedIssuers } from './client-certificate/allowed-issuers.ts';
import { applyCertificateStep } from './client-certificate/apply.ts';
import { HolderWaits, unheld } from './client-certificate/holder-waits.ts';
import { observeCertificate } from './client-certificate/observe.ts';
import { planCertificate } from './client-certificate/plan.ts';
import { revokedUnheld } from './client-certificate/revoked-unheld.ts';
import type { Enforcement } from './directory/enforcement-watch.ts';
import type { Reconcile } from './engine/controller.ts';
import type { EarlyStatuses } from './reconcile/early-statuses.ts';
import { PendingKeys } from './reconcile/pending-keys.ts';
import { createReconcile } from './reconcile/reconciler.ts';
import type { CredentialUses } from './registry/credential-use.ts';
import type { Registry } from './registry/registry.ts';
import { applyAppStep } from './relay-app/apply.ts';
import { observeApp } from './relay-app/observe.ts';
import { planApp } from './relay-app/plan.ts';
import type { Endpoints } from './relay-app/snapshot.ts';
import { applyTokenStep } from './relay-token/apply.ts';
import { observeToken } from './relay-token/observe.ts';
import { planToken } from './relay-token/plan.ts';
import type { OldCredentials } from './rotation/old-credentials.ts';
import { keyOf } from './world/object-ref.ts';
import type { World } from './world/world.ts';

export type KindOptions = {
  readonly world: Pick<World, 'apps' | 'tokens' | 'certificates' | 'secrets' | 'certManager' | 'recorder'>;
  readonly registry: Registry;
  readonly enforcement: Enforcement;
  readonly uses: CredentialUses;
  readonly oldCredentials: Pick<OldCredentials, 'set'>;
  readonly earlyStatuses: Pick<EarlyStatuses, 'written'>;
  readonly endpoints: Endpoints;
  /** This operator can send mail. */
  readonly mail: boolean;
  /** Who may sign the certificates that ClientCertificates ask for. */
  readonly allowedIssuers: AllowedIssuers;
  /** Epoch ms. */
  readonly now: () => number;
};

/** How one kind is reconciled, and which of its objects wait for a word of the relays. */
export type KindReconcile = { readonly reconcile: Reconcile; readonly pending: PendingKeys };

export type KindReconciles = Readonly<Record<'app' | 'token', KindReconcile>> & {
  readonly certificate: KindReconcile & { readonly holderWaits: HolderWaits };
};

/** What each kind's folder comes to over these ports: no queue, no clock that runs. */
export function createKindReconciles({
  world: { apps, tokens, certificates, secrets, certManager, recorder },
  registry,
  enforcement,
  uses,
  oldCredentials,
  earlyStatuses,
  endpoints,
  mail,
  allowedIssuers,
  now,
}: KindOptions): KindReconciles {
  const pendingApps = new PendingKeys(enforcement);
  const pendingTokens = new PendingKeys(enforcement);
  const pendingCertificates = new PendingKeys(enforcement);
  const holderWaits = new HolderWaits();
  return {
    app: {
      pending: pendingApps,
      reconcile: createReconcile(
        {
          observe: (ref) => observeApp({ apps, secrets, registry, enforcement, uses, endpoints, mail, now }, ref),
          plan: (snapshot) => {
            const plan = planApp(snapshot);
            oldCredentials.set('RelayApp', snapshot.object.metadata, plan.oldInUse ?? []);
            return plan;
          },
          apply: (object, step) => applyAppStep({ apps, secrets, registry, recorder }, object, step),
          writeStatus: (object, status) => apps.writeStatus(object, status),
          onEarlyStatus: () => earlyStatuses.written('RelayApp'),
        },
        enforcement,
        pendingApps,
      ),
    },
    token: {
      pending: pendingTokens,
      reconcile: createReconcile(
        {
          observe: (ref) =>
            observeToken({ apps, tokens, secrets, registry, enforcement, uses, relayUrl: endpoints.public, now }, ref),
          plan: (snapshot) => {
            const plan = planToken(snapshot);
            oldCredentials.set('RelayToken', snapshot.object.metadata, plan.oldInUse ?? []);
            return plan;
          },
          apply: (object, step) =>
            applyTokenStep({ tokens, secrets, registry, recorder, relayUrl: endpoints.public }, object, step),
          writeStatus: (object, status) => tokens.writeStatus(object, status),
          onEarlyStatus: () => earlyStatuses.written('RelayToken'),
        },
        enforcement,
        pendingTokens,
      ),
    },
    certificate: {
      pending: pendingCertificates,
      holderWaits,
      reconcile: createReconcile(
        {
          observe: (ref) =>
            observeCertificate(
              { apps, certificates, secrets, certManager, registry, enforcement, uses, allowedIssuers, now },
              ref,
            ),
          plan: (snapshot) => {
            const { object, holder } = snapshot;
            const plan = planCertificate(snapshot);
            const wanted = revokedUnheld(snapshot);
            const isNew = holderWaits.set(keyOf(object.metadata), holder === undefined ? wanted : keyOf(holder));
            // Somebody may have registered it between look and note.
            return isNew && wanted !== undefined ? { ...plan, outcome: { kind: 'requeueAfter', ms: 1_000 } } : plan;
          },
          apply: async (object, step) => {
            await applyCertificateStep({ certificates, secrets, certManager, registry, recorder }, object, step);
            if (step.do === 'EndCertificates' || step.do === 'RegisterCertificate')
              holderWaits.changed(keyOf(object.metadata));
            if (step.do === 'RegisterCertificate')
              holderWaits.changed(unheld(step.register.appId, step.register.sha256));
          },
          writeStatus: (object, status) => certificates.writeStatus(object, status),
          onEarlyStatus: () => earlyStatuses.written('ClientCertificate'),
        },
        enforcement,
        pendingCertificates,
      ),
    },
  };
}
