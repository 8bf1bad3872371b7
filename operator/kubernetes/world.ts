import type { Logger } from 'pino';
import { MANAGED_LABEL, REFERABLE_LABEL } from '#crds/api-group.ts';
import { referencedSecrets, type RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { Clock } from '../engine/clock.ts';
import type { EventRecorder } from '../engine/events.ts';
import { keyOf as keyOfObject, type EngineObject } from '../engine/object.ts';
import { OutageLog } from '../engine/outage-log.ts';
import { LIST_OR_WATCH, Reflector, type ReflectorHealth } from '../engine/reflector.ts';
import { Store, type StoreEvent } from '../engine/store.ts';
import { keyOf, type ObjectRef } from '../world/object-ref.ts';
import type { Change, World } from '../world/world.ts';
import type { KubernetesClient } from './client.ts';
import { RELAY_APPS, RELAY_TOKENS } from './kinds.ts';
import { listerWatcher } from './lister-watcher.ts';
import { kubernetesObjects } from './objects.ts';
import { SECRETS, type ResourceType } from './resource-type.ts';
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
  const secrets = new Store<KubernetesSecret, 'owner'>({ log, ...scoped, indexes: { owner: ownerUids } });
  const referable = new Store<KubernetesSecret>({ log, ...scoped });
  const stores = [apps, tokens, secrets, referable];
  const outages = new OutageLog(log, LIST_OR_WATCH);
  const reflectors = [
    ...reflect(apps, RELAY_APPS),
    ...reflect(tokens, RELAY_TOKENS),
    // By our labels only: a cluster has thousands of other Secrets (operator-traps, rule 5).
    ...reflect(secrets, SECRETS, { name: 'secrets', labelSelector: `${MANAGED_LABEL}=true` }),
    ...reflect(referable, SECRETS, { name: 'referable secrets', labelSelector: `${REFERABLE_LABEL}=true` }),
  ];

  function reflect<T extends EngineObject>(
    store: Pick<Store<T>, 'replace' | 'upsert' | 'remove' | 'hasSynced'>,
    resource: ResourceType,
    { name: what = resource.plural, labelSelector }: { readonly name?: string; readonly labelSelector?: string } = {},
  ) {
    const scopes = namespaces.length === 0 ? [undefined] : namespaces;
    return scopes.map((namespace) => {
      const name = namespace === undefined ? what : `${what} in ${namespace}`;
      const reflector = new Reflector<T>({
        name,
        source: listerWatcher<T>(client, resource, { namespace, labelSelector }),
        store,
        clock,
        random: Math.random,
        log,
        outages,
        ...(namespace === undefined ? {} : { scope: namespace }),
      });
      return { name, reflector };
    });
  }

  return {
    apps: kubernetesObjects(client, RELAY_APPS, apps),
    tokens: kubernetesObjects(client, RELAY_TOKENS, tokens),
    secrets: kubernetesSecrets(client, secrets, referable),
    recorder: {
      event: ({ apiVersion, kind, metadata }, type, reason, message) =>
        recorder.record({ apiVersion, kind, metadata }, { type, reason, action: 'Reconcile', note: message }),
    },
    refs: (kind) => (kind === 'RelayApp' ? apps : tokens).list().map(refOfObject),
    tokensOf: (app) => tokens.byIndex('app', keyOf(app)).map(refOfObject),
    subscribe: (listener) => {
      const stop = [
        apps.subscribe((event) => listener(changeOf('RelayApp', event))),
        tokens.subscribe((event) => listener(changeOf('RelayToken', event))),
        secrets.subscribe(({ object, type }) => {
          const owner = ownerOf(object);
          // What a Secret looks like at the start is seen when its owner is reconciled.
          if (owner === undefined || type === 'added') return;
          const { namespace = '' } = object.metadata;
          listener({ kind: owner.kind, ref: { namespace, name: owner.name }, deleting: false, initial: false });
        }),
        referable.subscribe((event) => {
          // What a Secret says at the start is seen when the objects that refer to it are reconciled.
          if (event.type === 'added' && event.initial) return;
          for (const app of apps.byIndex('reference', keyOfObject(event.object)))
            listener({ kind: 'RelayApp', ref: refOfObject(app), deleting: false, initial: false });
        }),
      ];
      return () => {
        for (const unsubscribe of stop) unsubscribe();
      };
    },
    run: async (signal) => {
      await Promise.all(reflectors.map(({ reflector }) => reflector.run(signal)));
    },
    whenSynced: async (signal) => {
      await Promise.all(stores.map((store) => store.whenSynced(signal)));
    },
    hasSynced: () => stores.every((store) => store.hasSynced()),
    health: () => reflectors.map(({ name, reflector }) => ({ name, ...reflector.health() })),
  };
}

/** The Secrets that an app refers to. */
function referencedKeys({ metadata: { namespace, name }, spec }: RelayApp): readonly string[] {
  return referencedSecrets(name, spec).map((secret) => keyOf({ namespace, name: secret }));
}

function refOfObject({ metadata: { namespace, name } }: RelayApp | RelayToken): ObjectRef {
  return { namespace, name };
}

function changeOf(kind: Change['kind'], event: StoreEvent<RelayApp | RelayToken>): Change {
  return {
    kind,
    ref: refOfObject(event.object),
    deleting: event.object.metadata.deletionTimestamp !== undefined,
    initial: event.type === 'added' && event.initial,
  };
}
