import { isDeepStrictEqual } from 'node:util';
import { GROUP, MANAGED_LABEL } from '#crds/api-group.ts';
import { describeError, TransientError } from '../engine/errors.ts';
import { Store } from '../engine/store.ts';
import { isConflict, KubernetesError } from '../kubernetes/kubernetes-error.ts';
import { reflect, type NamedReflector, type ReflectOptions } from '../kubernetes/reflect.ts';
import type { ResourceType } from '../kubernetes/resource-type.ts';
import type { CertManager, CertManagerState, StoredCertificate } from '../world/cert-manager.ts';
import { keyOf, type ObjectRef } from '../world/object-ref.ts';
import { certificateManifest, ownerUidOf, storedCertificate, type KubernetesCertificate } from './certificate.ts';
import type { KubernetesRequest } from './trouble.ts';

const resource = (kind: string, plural: string): ResourceType => ({
  group: 'cert-manager.io',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});
const CERTIFICATES = resource('Certificate', 'certificates');
const REQUESTS = resource('CertificateRequest', 'certificaterequests');

/** How soon cert-manager is noticed once it is installed; and once it is removed. */
const LOOK_FOR_MS = 10_000;
const LOOK_AGAIN_MS = 60_000;
/** A start does not wait longer than this for its objects: without them everything else works. */
const SETTLE_MS = 10_000;

const MISSING =
  'cert-manager is not installed in this cluster: install it (https://cert-manager.io), and this goes on by itself; or use spec.certificate or spec.fingerprint';

export type CertManagerEvents = {
  /** What cert-manager makes of this object's Certificate has changed. */
  readonly changed: (ref: ObjectRef) => void;
  /** cert-manager has come or gone. */
  readonly stateChanged: () => void;
};

export type KubernetesCertManager = CertManager & {
  subscribe(events: CertManagerEvents): () => void;
  /** Follows cert-manager, whether it is installed or not, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once it is known whether it is installed, and if so when its objects are listed; or after a while without that. */
  whenSettled(signal: AbortSignal): Promise<void>;
};

/** Its objects, from when it was found until it is gone. */
type Session = {
  readonly certificates: Store<KubernetesCertificate>;
  readonly requests: Store<KubernetesRequest, 'certificate'>;
  readonly reflectors: readonly NamedReflector[];
  readonly abort: AbortController;
  readonly running: Promise<unknown>;
};

/** cert-manager in a cluster. Only Certificates that carry our label are cached, and the requests that inherit it; never a Secret. */
export function createKubernetesCertManager(options: ReflectOptions): KubernetesCertManager {
  const { client, namespaces, clock, log } = options;
  const scoped = namespaces.length === 0 ? {} : { scopes: namespaces };
  const subscribers = new Set<CertManagerEvents>();
  const settled = Promise.withResolvers<void>();
  let session: Session | undefined;
  let looked = false;
  let pause = new AbortController();

  const open = (signal: AbortSignal): Session => {
    const certificates = new Store<KubernetesCertificate>({ log, ...scoped });
    const requests = new Store<KubernetesRequest, 'certificate'>({
      log,
      ...scoped,
      indexes: {
        certificate: ({ metadata }) =>
          (metadata.ownerReferences ?? []).flatMap(({ kind, uid }) => (kind === 'Certificate' ? [uid] : [])),
      },
    });
    certificates.subscribe((event) => {
      // What they look like at the start is seen when every object is reconciled.
      if (event.type === 'added' && event.initial) return;
      const owner = event.object.metadata.ownerReferences?.find(({ apiVersion }) => apiVersion.startsWith(`${GROUP}/`));
      if (owner !== undefined) tell({ namespace: event.object.metadata.namespace ?? '', name: owner.name });
    });
    requests.subscribe((event) => {
      if (event.type === 'added' && event.initial) return;
      const { namespace = '', ownerReferences = [] } = event.object.metadata;
      for (const { kind, name } of ownerReferences) if (kind === 'Certificate') tell({ namespace, name });
    });
    const abort = new AbortController();
    const both = AbortSignal.any([signal, abort.signal]);
    const labelSelector = `${MANAGED_LABEL}=true`;
    const reflectors = [
      ...reflect(options, certificates, CERTIFICATES, { labelSelector }),
      ...reflect(options, requests, REQUESTS, { labelSelector }),
    ];
    const running = Promise.all(reflectors.map(({ reflector }) => reflector.run(both)));
    void listed([certificates, requests], both);
    return { certificates, requests, reflectors, abort, running };
  };
  const listed = async (stores: readonly Pick<Store<never>, 'whenSynced'>[], signal: AbortSignal): Promise<void> => {
    try {
      await Promise.all(stores.map((store) => store.whenSynced(signal)));
      settled.resolve();
      for (const { stateChanged } of subscribers) stateChanged();
    } catch {
      // It is gone again.
    }
  };
  const tell = (ref: ObjectRef): void => {
    for (const { changed } of subscribers) changed(ref);
  };
  const close = async (): Promise<void> => {
    const closing = session;
    session = undefined;
    closing?.abort.abort();
    await closing?.running;
  };
  const stateOf = (): CertManagerState => {
    if (session === undefined) return looked ? { kind: 'missing', message: MISSING } : { kind: 'starting' };
    if (session.certificates.hasSynced() && session.requests.hasSynced()) return { kind: 'ready' };
    const refused = session.reflectors.find(({ reflector }) => reflector.health().lastError?.code === 'Forbidden');
    if (refused === undefined) return { kind: 'starting' };
    const message = `cert-manager is installed, and this operator may not list its ${refused.name}: upgrade the chart, whose roles allow it`;
    return { kind: 'missing', message };
  };
  const stored = ({ requests }: Session, certificate: KubernetesCertificate): StoredCertificate =>
    storedCertificate(certificate, requests.byIndex('certificate', certificate.metadata.uid));
  const theirs = (name: string): TransientError =>
    new TransientError('conflict', `Certificate ${name} belongs to somebody else`, { quiet: true });
  const present = (): Session => {
    if (session !== undefined) return session;
    throw new TransientError('CertManagerNotInstalled', 'cert-manager is gone', { quiet: true });
  };
  /** A path that is not there means that the kinds are gone: whether they are is asked at once. */
  const asked = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.status !== 404 || error.aboutObject) throw error;
      pause.abort();
      throw new TransientError('CertManagerNotInstalled', 'cert-manager is gone', { quiet: true, cause: error });
    }
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    const served = await client.served(CERTIFICATES.group, CERTIFICATES.version, { signal });
    const installed = served.has(CERTIFICATES.plural) && served.has(REQUESTS.plural);
    looked = true;
    if (installed && session === undefined) {
      session = open(signal);
      log.info('cert-manager is installed: ClientCertificates can be issued');
    } else if (!installed && session !== undefined) {
      await close();
      log.warn('cert-manager is gone: no ClientCertificate can be issued or renewed');
      for (const { stateChanged } of subscribers) stateChanged();
    }
    if (!installed) settled.resolve();
  };

  return {
    state: stateOf,

    find: (ref) => {
      const found = session?.certificates.get(keyOf(ref));
      return session === undefined || found === undefined ? undefined : stored(session, found);
    },

    look: async ({ namespace, name }) => {
      if (session === undefined || stateOf().kind !== 'ready') return undefined;
      const held = session;
      const found =
        held.certificates.get(keyOf({ namespace, name })) ??
        (await asked(client.get<KubernetesCertificate>(CERTIFICATES, { namespace, name })));
      return found === undefined ? undefined : stored(held, found);
    },

    apply: async (desired) => {
      const held = present();
      const { namespace, name, ownerUid } = desired;
      const found = await asked(client.get<KubernetesCertificate>(CERTIFICATES, { namespace, name }));
      if (found !== undefined && ownerUidOf(found) !== ownerUid) throw theirs(name);
      const manifest = certificateManifest(desired);
      // One that somebody creates in between is not taken over: whoever owns its fields keeps them.
      const answer =
        found === undefined
          ? await client
              .apply<KubernetesCertificate>(CERTIFICATES, manifest, { force: false })
              .catch((error: unknown) => {
                throw isConflict(error) ? theirs(name) : error;
              })
          : await client.apply<KubernetesCertificate>(CERTIFICATES, {
              ...manifest,
              metadata: { ...manifest.metadata, uid: found.metadata.uid },
            });
      held.certificates.upsert(answer);
      if (!isDeepStrictEqual(storedCertificate(answer, []).issue, desired.issue))
        throw new TransientError(
          'FieldHeld',
          `Certificate ${name}: somebody else keeps changing what this operator writes`,
        );
    },

    delete: async ({ namespace, name, uid }) => {
      const held = present();
      await asked(client.delete(CERTIFICATES, { namespace, name }, { uid }));
      const cached = held.certificates.get(keyOf({ namespace, name }));
      if (cached?.metadata.uid === uid) held.certificates.remove(cached);
    },

    subscribe: (events) => {
      subscribers.add(events);
      return () => void subscribers.delete(events);
    },

    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await follow(signal);
        } catch (error) {
          if (!signal.aborted) log.debug(describeError(error), 'whether cert-manager is installed could not be asked');
        }
        pause = new AbortController();
        const either = AbortSignal.any([signal, pause.signal]);
        // Cut short: there is something to look at, or the loop sees that it shall stop.
        await clock.sleep(session === undefined ? LOOK_FOR_MS : LOOK_AGAIN_MS, either).catch(() => {});
      }
      await close();
    },

    whenSettled: async (signal) => {
      await Promise.race([settled.promise, clock.sleep(SETTLE_MS, signal)]);
    },
  };
}
