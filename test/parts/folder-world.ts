import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayKind } from '#crds/relay-object.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { Problem } from '#standalone/folder/declarations.ts';
import { formatEnv, parseEnv } from '#standalone/folder/env-text.ts';
import { FolderLoop } from '#standalone/folder/folder-loop.ts';
import { FolderWorld } from '#standalone/folder/folder-world.ts';
import { ObjectStore } from '#standalone/folder/object-store.ts';
import { SecretStore } from '#standalone/folder/secret-store.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A folder world that follows a temporary folder; nothing reconciles. */
export type RunningFolderWorld = AsyncDisposable & {
  readonly world: FolderWorld;
  readonly folder: string;
  readonly data: string;
  /** What is wrong with the folder at the moment. */
  problems(): readonly Problem[];
  /** Reads the folder now; for worlds that do not follow it by themselves. */
  look(): Promise<void>;
  /** Files that could not be understood when this world was loaded. */
  readonly damaged: readonly string[];
};

/**
 * Follows `folder` with what an earlier world left in `data`. With a clock of the test's own (`now`, ms) it does not follow: the test
 * says when to look.
 */
export async function openFolderWorld(folder: string, data: string, now?: () => number): Promise<RunningFolderWorld> {
  const secrets = join(data, 'secrets');
  await mkdir(secrets, { recursive: true });
  const world = new FolderWorld({
    folder,
    stores: {
      apps: new ObjectStore(join(data, 'apps'), (object): object is RelayApp => object.kind === 'RelayApp'),
      tokens: new ObjectStore(join(data, 'tokens'), (object): object is RelayToken => object.kind === 'RelayToken'),
      certificates: new ObjectStore(
        join(data, 'certificates'),
        (object): object is ClientCertificate => object.kind === 'ClientCertificate',
      ),
    },
    secrets: new SecretStore(secrets),
    recorder: { event: () => {} },
    now: () => new Date(),
    newUid: randomUUID,
    onStatus: () => {},
  });
  const damaged: string[] = [];
  world.load((path) => damaged.push(path));
  let problems: readonly Problem[] = [];
  const loop = new FolderLoop({
    folder,
    except: data,
    secrets,
    world,
    onProblems: (found) => (problems = found),
    onDeleted: () => {},
    now: now ?? (() => performance.now()),
  });
  await loop.look();
  const stop = new AbortController();
  const running = now === undefined ? loop.run(stop.signal) : Promise.resolve();
  return {
    world,
    folder,
    data,
    damaged,
    look: () => loop.look(),
    problems: () => problems,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

/** A folder world over an empty folder, with the hands of a person on its files. */
export async function startFolderWorld() {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('folder-world'));
  const folder = join(directory.path, 'manifests');
  await mkdir(folder);
  const running = stack.use(await openFolderWorld(folder, join(directory.path, 'data')));
  const owned = stack.move();
  const namespace = 'team-a';
  const manifest = (kind: string, name: string): string => join(folder, `${kind}-${name}.yaml`);
  const secret = (name: string): string => join(running.data, 'secrets', namespace, `${name}.env`);
  return {
    ...running,
    namespace,
    declare: async (kind: RelayKind, name: string, spec: object) => {
      const metadata = { name, namespace };
      const object = { apiVersion: 'relay-operator.dev/v1alpha1', kind, metadata, spec };
      await writeFile(manifest(kind, name), JSON.stringify(object));
    },
    withdraw: (kind: RelayKind, name: string) => rm(manifest(kind, name)),
    writeSecret: async (name: string, values: Readonly<Record<string, string>>) => {
      await mkdir(join(running.data, 'secrets', namespace), { recursive: true });
      await writeFile(secret(name), formatEnv(values));
    },
    declareSecret: async (name: string, stringData: Readonly<Record<string, string>>, referable: boolean) => {
      const labels = referable ? { 'relay-operator.dev/referable': 'true' } : {};
      const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, stringData };
      await writeFile(manifest('Secret', name), JSON.stringify(object));
    },
    withdrawSecret: (name: string) => rm(manifest('Secret', name)),
    editSecret: async (name: string, key: string, value: string) => {
      const values = parseEnv(await readFile(secret(name), 'utf8'));
      await writeFile(secret(name), formatEnv({ ...values, [key]: value }));
    },
    deleteSecret: (name: string) => rm(secret(name)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
