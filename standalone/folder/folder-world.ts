import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '#crds/api-group.ts';
import type { ClientCertificate } from '#crds/client-certificate.ts';
import { referencedSecrets, type RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { ObjectMeta } from '#crds/resource.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import type { Recorder } from '#operator/world/recorder.ts';
import type { Change, World } from '#operator/world/world.ts';
import {
  identityOf,
  type Declaration,
  type Declared,
  type Existing,
  type IdentityKey,
  type SecretDeclaration,
} from './declarations.ts';
import { FolderObjects } from './folder-objects.ts';
import { isInside } from './manifest-files.ts';
import { NO_CERT_MANAGER } from './no-cert-manager.ts';
import type { FolderObject } from './object-file.ts';
import type { ObjectStore } from './object-store.ts';
import type { SecretStore } from './secret-store.ts';

/** Which file declares an object, so that taking it out of that file, and nothing else, deletes it. */
const MANIFEST_ANNOTATION = 'relay-operator.dev/manifest';

export type FolderStores = {
  readonly apps: ObjectStore<RelayApp>;
  readonly tokens: ObjectStore<RelayToken>;
  readonly certificates: ObjectStore<ClientCertificate>;
};

export type FolderWorldOptions = {
  /** The folder of manifests, absolute. */
  readonly folder: string;
  readonly stores: FolderStores;
  readonly secrets: SecretStore;
  readonly recorder: Recorder;
  readonly now: () => Date;
  readonly newUid: () => string;
  /** A status was written that says something else than before. */
  readonly onStatus: (object: FolderObject, former: FolderObject) => void;
};

/**
 * A folder of YAML as the world that reconcilers work in. It does what an API server and the garbage collector do in a cluster: uid,
 * generation, finalizers, and Secrets that go with their owner.
 */
export class FolderWorld implements World {
  readonly apps: FolderObjects<RelayApp>;
  readonly tokens: FolderObjects<RelayToken>;
  readonly certificates: FolderObjects<ClientCertificate>;
  readonly certManager = NO_CERT_MANAGER;
  readonly secrets: SecretStore;
  readonly recorder: Recorder;
  readonly #options: FolderWorldOptions;
  readonly #listeners = new Set<(change: Change) => void>();
  #declared: ReadonlyMap<IdentityKey, Declaration> = new Map();

  constructor(options: FolderWorldOptions) {
    const { stores, secrets, recorder, onStatus } = options;
    this.#options = options;
    this.secrets = secrets;
    this.recorder = recorder;
    const written = (object: FolderObject): void => this.#tell(object, false);
    const gone = (object: FolderObject): void => this.#finish(object);
    this.apps = new FolderObjects(stores.apps, { written, gone, status: onStatus });
    this.tokens = new FolderObjects(stores.tokens, { written, gone, status: onStatus });
    this.certificates = new FolderObjects(stores.certificates, { written, gone, status: onStatus });
  }

  /** Reads what an earlier run has left. */
  load(onDamaged: (path: string, why: string) => void): void {
    const stores = Object.values(this.#options.stores);
    for (const store of stores) store.load(onDamaged);
    let version = this.objects().reduce((most, { metadata }) => Math.max(most, Number(metadata.resourceVersion)), 0);
    const next = (): string => {
      version += 1;
      return String(version);
    };
    for (const store of stores) store.useVersions(next);
    this.secrets.load();
    this.#collectSecrets();
  }

  objects(): readonly FolderObject[] {
    const { apps, tokens, certificates } = this.#options.stores;
    return [...apps.list(), ...tokens.list(), ...certificates.list()];
  }

  refs(kind: Change['kind']): readonly ObjectRef[] {
    return this.objects()
      .filter((object) => object.kind === kind)
      .map(({ metadata: { namespace, name } }) => ({ namespace, name }));
  }

  tokensOf(app: ObjectRef): readonly ObjectRef[] {
    return namingApp(this.#options.stores.tokens.list(), app);
  }

  certificatesOf(app: ObjectRef): readonly ObjectRef[] {
    return namingApp(this.#options.stores.certificates.list(), app);
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    for (const object of this.objects()) listener(changeOf(object, true));
    return () => void this.#listeners.delete(listener);
  }

  /** What `declare` compares with. An object on its way out does not bind the next one of its name. */
  existing(key: IdentityKey): Existing | undefined {
    const object = this.#find(key);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return undefined;
    return { file: sourceOf(object) ?? '', spec: object.spec };
  }

  /** Makes the objects what the folder says. Deleting is another step: {@link missing} and {@link delete}. */
  sync({ declarations, secrets }: Declared): void {
    // Before the objects that refer to them.
    for (const secret of secrets) if (this.secrets.declare(secret)) this.#tellReferring(secret);
    this.#declared = new Map(declarations.map((declaration) => [identityOf(declaration), declaration]));
    for (const declaration of declarations) this.#sync(declaration);
  }

  /** Objects that a file of this folder declared and that no document names any more. A file with a mistake in it keeps all of its own. */
  missing({ named, problems }: Declared): readonly (FolderObject | SecretDeclaration)[] {
    const wrong = new Set(problems.map(({ file }) => file));
    const objects = this.objects().filter((object) => {
      const source = sourceOf(object);
      if (object.metadata.deletionTimestamp !== undefined || named.has(identityOfObject(object))) return false;
      return source !== undefined && isInside(this.#options.folder, source) && !wrong.has(source);
    });
    const secrets = this.secrets
      .declared()
      .filter((secret) => !named.has(identityOf(secret)) && !wrong.has(secret.file));
    return [...objects, ...secrets];
  }

  /** Objects that another folder declared, which is not watched now: they stay as they are. */
  declaredElsewhere(): readonly FolderObject[] {
    return this.objects().filter((object) => !isInside(this.#options.folder, sourceOf(object) ?? ''));
  }

  /** As `kubectl delete`: the object stays, marked, until its last finalizer is gone. */
  delete(object: FolderObject | SecretDeclaration): void {
    if (object.kind === 'Secret') {
      this.secrets.undeclare(object);
      this.#tellReferring(object);
      return;
    }
    if ((object.metadata.finalizers ?? []).length === 0) {
      this.#storeOf(object).remove(object);
      this.#finish(object);
      return;
    }
    const deletionTimestamp = timestamp(this.#options.now());
    const metadata = { ...object.metadata, deletionTimestamp };
    this.#tell(this.#storeOf(object).updateMetadata(object, metadata), false);
  }

  /** Tells of the objects whose Secrets somebody has edited or deleted. */
  noticeSecretEdits(): void {
    for (const { kind, name, namespace } of this.secrets.takeForeignEdits()) {
      const object = this.#find(identityOf({ kind, namespace, name }));
      if (object !== undefined) this.#tell(object, false);
    }
  }

  #sync(declaration: Declaration): void {
    const { namespace, name, labels, annotations, file } = declaration;
    const current = this.#find(identityOf(declaration));
    // Recreated once it is gone.
    if (current?.metadata.deletionTimestamp !== undefined) return;
    const declared = { labels, annotations: { ...annotations, [MANIFEST_ANNOTATION]: file } };
    if (current === undefined) {
      const metadata: ObjectMeta = {
        name,
        namespace,
        uid: this.#options.newUid(),
        generation: 1,
        creationTimestamp: timestamp(this.#options.now()),
        ...declared,
      };
      this.#create(declaration, metadata);
      return;
    }
    const sameSpec = isDeepStrictEqual(current.spec, declaration.spec);
    const { generation } = current.metadata;
    const metadata = { ...current.metadata, ...declared, generation: sameSpec ? generation : generation + 1 };
    if (sameSpec && isDeepStrictEqual(metadata, current.metadata)) return;
    this.#update(current, declaration, metadata);
  }

  #create(declaration: Declaration, metadata: ObjectMeta): void {
    const { apps, tokens, certificates } = this.#options.stores;
    switch (declaration.kind) {
      case 'RelayApp':
        return this.#tell(
          apps.create({ apiVersion: API_VERSION, kind: 'RelayApp', metadata, spec: declaration.spec }),
          false,
        );
      case 'RelayToken':
        return this.#tell(
          tokens.create({ apiVersion: API_VERSION, kind: 'RelayToken', metadata, spec: declaration.spec }),
          false,
        );
      case 'ClientCertificate':
        return this.#tell(
          certificates.create({ apiVersion: API_VERSION, kind: 'ClientCertificate', metadata, spec: declaration.spec }),
          false,
        );
    }
  }

  #update(object: FolderObject, declaration: Declaration, metadata: ObjectMeta): void {
    const { apps, tokens, certificates } = this.#options.stores;
    switch (declaration.kind) {
      case 'RelayApp':
        return this.#tell(
          apps.update(object, (current) => ({ ...current, metadata, spec: declaration.spec })),
          false,
        );
      case 'RelayToken':
        return this.#tell(
          tokens.update(object, (current) => ({ ...current, metadata, spec: declaration.spec })),
          false,
        );
      case 'ClientCertificate':
        return this.#tell(
          certificates.update(object, (current) => ({ ...current, metadata, spec: declaration.spec })),
          false,
        );
    }
  }

  /** The last finalizer is gone. */
  #finish(object: FolderObject): void {
    this.#collectSecrets();
    this.#tell(object, false);
    const again = this.#declared.get(identityOfObject(object));
    if (again !== undefined) this.#sync(again);
  }

  #collectSecrets(): void {
    const alive = new Set(this.objects().map(({ metadata }) => metadata.uid));
    this.secrets.collect((owner) => alive.has(owner.uid));
  }

  #tell(object: FolderObject, initial: boolean): void {
    for (const listener of this.#listeners) listener(changeOf(object, initial));
  }

  /** Tells of the objects that refer to this Secret. */
  #tellReferring({ namespace, name }: ObjectRef): void {
    const { apps, certificates } = this.#options.stores;
    const referring = [
      ...apps.list().filter(({ metadata, spec }) => referencedSecrets(metadata.name, spec).includes(name)),
      ...certificates.list().filter(({ spec }) => spec.certificate?.secretRef?.name === name),
    ];
    for (const object of referring) if (object.metadata.namespace === namespace) this.#tell(object, false);
  }

  #find(key: IdentityKey): FolderObject | undefined {
    return this.objects().find((object) => identityOfObject(object) === key);
  }

  #storeOf({ kind }: FolderObject): FolderStores[keyof FolderStores] {
    const { apps, tokens, certificates } = this.#options.stores;
    return { RelayApp: apps, RelayToken: tokens, ClientCertificate: certificates }[kind];
  }
}

function namingApp(
  objects: readonly (RelayToken | ClientCertificate)[],
  { namespace, name }: ObjectRef,
): readonly ObjectRef[] {
  return objects
    .filter(({ metadata, spec }) => metadata.namespace === namespace && spec.appRef.name === name)
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name }));
}

function identityOfObject({ kind, metadata: { namespace, name } }: FolderObject): IdentityKey {
  return identityOf({ kind, namespace, name });
}

function sourceOf(object: FolderObject): string | undefined {
  return object.metadata.annotations?.[MANIFEST_ANNOTATION];
}

function changeOf({ kind, metadata: { namespace, name, deletionTimestamp } }: FolderObject, initial: boolean): Change {
  return { kind, ref: { namespace, name }, deleting: deletionTimestamp !== undefined, initial };
}

/** As Kubernetes writes them: whole seconds. */
function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}
