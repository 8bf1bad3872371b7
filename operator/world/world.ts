import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayKind } from '#crds/relay-object.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { CertManager } from './cert-manager.ts';
import type { ObjectRef } from './object-ref.ts';
import type { Objects } from './objects.ts';
import type { Recorder } from './recorder.ts';
import type { Secrets } from './secrets.ts';

/** One object needs another look: it changed, or a Secret that it owns or refers to did, or what cert-manager makes of it. */
export type Change = {
  readonly kind: RelayKind;
  readonly ref: ObjectRef;
  /** It is being deleted, which nothing may hold up. */
  readonly deleting: boolean;
  /** It was there when we first looked: nobody is waiting for it. */
  readonly initial: boolean;
};

/** All that reconcilers see of the place where manifests, Secrets and statuses live: a cluster, or a folder of YAML. */
export interface World {
  readonly apps: Objects<RelayApp>;
  readonly tokens: Objects<RelayToken>;
  readonly certificates: Objects<ClientCertificate>;
  readonly secrets: Secrets;
  readonly certManager: CertManager;
  readonly recorder: Recorder;
  /** Every object there is, e.g. for a resync. */
  refs(kind: Change['kind']): readonly ObjectRef[];
  /** The tokens whose appRef names this app. */
  tokensOf(app: ObjectRef): readonly ObjectRef[];
  /** The client certificates whose appRef names this app. */
  certificatesOf(app: ObjectRef): readonly ObjectRef[];
  /** Tells of everything held now (`initial`) and of every change from now on. Returns the way to stop. */
  subscribe(listener: (change: Change) => void): () => void;
}
