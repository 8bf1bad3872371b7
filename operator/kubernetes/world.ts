import type { Logger } from 'pino';
import { MANAGED_LABEL, REFERABLE_LABEL } from '#crds/api-group.ts';
import type { ClientCertificate } from '#crds/client-certificate.ts';
import { referencedSecrets, type RelayApp } from '#crds/relay-app.ts';
import type { RelayObject } from '#crds/relay-object.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { createKubernetesCertManager } from '../cert-manager/kubernetes-cert-manager.ts';
import type { Clock } from '../engine/clock.ts';
import type { EventRecorder } from '../engine/events.ts';
import { keyOf as keyOfObject } from '../engine/object.ts';
import { OutageLog } from '../engine/outage-log.ts';
import { LIST_OR_WATCH, type ReflectorHealth } from '../engine/reflector.ts';
import { Store, type StoreEvent } from '../engine/store.ts';
import { keyOf, type ObjectRef } from '../world/object-ref.ts';
import type { Change, World } from '../world/world.ts';
import type { KubernetesClient } from './client.ts';
import { CLIENT_CERTIFICATES, RELAY_APPS, RELAY_TOKENS } from './kinds.ts';
import { kubernetesObjects } from './objects.ts';
import { reflect } from './reflect.ts';
import { SECRETS } from './resource-type.ts';
import { kubernetesSecrets, ownerOf, ownerUids, type KubernetesSecret } from './secrets.ts';

export type KubernetesWorldOptions = {
  readonly client: KubernetesClient;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly recorder: EventRecorder;
};

/** The cluster as a World, and the reflectors that keep it up to date. */
export type KubernetesWorld = World & {
  /** Reflects until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once everything has been listed. */
  whenSynced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  health(): readonly (ReflectorHealth & { readonly name: string })[];
};

export function createKubernetesWorld({
  client,
  namespaces,
  clock,
  log,
  recorder,
}: KubernetesWorldOptions): KubernetesWorld {
  const scoped = namespaces.length === 0 ? {} : { scopes: namespaces };
  const apps = new Store<RelayApp, 'reference'>({ log, ...scoped, indexes: { reference: referencedKeys } });
  const tokens = new Store<RelayToken, 'app'>({
    log,
    ...scoped,
    indexes: { app: ({ metadata: { namespace }, spec }) => [keyOf({ namespace, name: spec.appRef.name })] },
  });
  const certificates = new Store<ClientCertificate, 'app' | 'reference'>({
    log,
    ...scoped,
    indexes: {
      app: ({ metadata: { namespace }, spec }) => [keyOf({ namespace, name: spec.appRef.name })],
      reference: ({ metadata: { namespace }, spec }) => {
        const name = spec.certificate?.secretRef?.name;
        return name === undefined ? [] : [keyOf({ namespace, name })];
      },
    },
  });
  const secrets = new Store<KubernetesSecret, 'owner'>({ log, ...scoped, indexes: { owner: ownerUids } });
  const referable = new Store<KubernetesSecret>({ log, ...scoped });
  const stores = [apps, tokens, certificates, secrets, referable];
  const reflecting = { client, namespaces, clock, log, outages: new OutageLog(log, LIST_OR_WATCH) };
  const certManager = createKubernetesCertManager(reflecting);
  const reflectors = [
    ...reflect(reflecting, apps, RELAY_APPS),
    ...reflect(reflecting, tokens, RELAY_TOKENS),
    ...reflect(reflecting, certificates, CLIENT_CERTIFICATES),
    // By our labels only: a cluster has thousands of other Secrets (operator-traps, rule 5).
    ...reflect(reflecting, secrets, SECRETS, { name: 'secrets', labelSelector: `${MANAGED_LABEL}=true` }),
    ...reflect(reflecting, referable, SECRETS, {
      name: 'referable secrets',
      labelSelector: `${REFERABLE_LABEL}=true`,
    }),
  ];
  const listOf = { RelayApp: apps, RelayToken: tokens, ClientCertificate: certificates };

  return {
    apps: kubernetesObjects(client, RELAY_APPS, apps),
    tokens: kubernetesObjects(client, RELAY_TOKENS, tokens),
    certificates: kubernetesObjects(client, CLIENT_CERTIFICATES, certificates),
    certManager,
    secrets: kubernetesSecrets(client, secrets, referable),
    recorder: {
      event: ({ apiVersion, kind, metadata }, type, reason, message) =>
        recorder.record({ apiVersion, kind, metadata }, { type, reason, action: 'Reconcile', note: message }),
    },
    refs: (kind) => listOf[kind].list().map(refOfObject),
    tokensOf: (app) => tokens.byIndex('app', keyOf(app)).map(refOfObject),
    certificatesOf: (app) => certificates.byIndex('app', keyOf(app)).map(refOfObject),
    subscribe: (listener) => {
      const tell = (kind: Change['kind'], ref: ObjectRef): void =>
        listener({ kind, ref, deleting: false, initial: false });
      const stop = [
        apps.subscribe((event) => listener(changeOf('RelayApp', event))),
        tokens.subscribe((event) => listener(changeOf('RelayToken', event))),
        certificates.subscribe((event) => listener(changeOf('ClientCertificate', event))),
        secrets.subscribe(({ object, type }) => {
          const owner = ownerOf(object);
          // What a Secret looks like at the start is seen when its owner is reconciled.
          if (owner === undefined || type === 'added') return;
          const { namespace = '' } = object.metadata;
          tell(owner.kind, { namespace, name: owner.name });
        }),
        referable.subscribe((event) => {
          // What a Secret says at the start is seen when the objects that refer to it are reconciled.
          if (event.type === 'added' && event.initial) return;
          const key = keyOfObject(event.object);
          for (const app of apps.byIndex('reference', key)) tell('RelayApp', refOfObject(app));
          for (const one of certificates.byIndex('reference', key)) tell('ClientCertificate', refOfObject(one));
        }),
        certManager.subscribe({
          changed: (ref) => tell('ClientCertificate', ref),
          stateChanged: () => {
            for (const one of certificates.list())
              if (one.spec.issue !== undefined) tell('ClientCertificate', refOfObject(one));
          },
        }),
      ];
      return () => {
        for (const unsubscribe of stop) unsubscribe();
      };
    },
    run: async (signal) => {
      await Promise.all([...reflectors.map(({ reflector }) => reflector.run(signal)), certManager.run(signal)]);
    },
    whenSynced: async (signal) => {
      await Promise.all([...stores.map((store) => store.whenSynced(signal)), certManager.whenSettled(signal)]);
    },
    hasSynced: () => stores.every((store) => store.hasSynced()),
    health: () => reflectors.map(({ name, reflector }) => ({ name, ...reflector.health() })),
  };
}

/** The Secrets that an app refers to. */
function referencedKeys({ metadata: { namespace, name }, spec }: RelayApp): readonly string[] {
  return referencedSecrets(name, spec).map((secret) => keyOf({ namespace, name: secret }));
}

function refOfObject({ metadata: { namespace, name } }: RelayObject): ObjectRef {
  return { namespace, name };
}

function changeOf(kind: Change['kind'], event: StoreEvent<RelayObject>): Change {
  return {
    kind,
    ref: refOfObject(event.object),
    deleting: event.object.metadata.deletionTimestamp !== undefined,
    initial: event.type === 'added' && event.initial,
  };
}
