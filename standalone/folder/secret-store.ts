import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { TransientError } from '#operator/engine/errors.ts';
import { referenced } from '#operator/reconcile/secret-state.ts';
import { keyOf, type ObjectKey, type ObjectRef } from '#operator/world/object-ref.ts';
import type { DesiredSecret, Owner, ReferencedSecret, Secrets, StoredSecret } from '#operator/world/secrets.ts';
import { createFileAtomically, writeFileAtomically } from '../atomic-file.ts';
import type { SecretDeclaration } from './declarations.ts';
import { formatEnv, parseEnv } from './env-text.ts';
import { errorCode } from './manifest-files.ts';

const record = z.object({
  uid: z.string(),
  resourceVersion: z.string(),
  type: z.string(),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  owner: z.object({ kind: z.enum(['RelayApp', 'RelayToken', 'ClientCertificate']), name: z.string(), uid: z.string() }),
});

/** What a Secret is besides its data. Kept beside the `.env` file, where an edit of that does not reach it. */
type SecretRecord = z.infer<typeof record>;

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Secrets as files: `{directory}/{namespace}/{name}.env`, and beside it `.{name}.json`, which says whose it is. An `.env` file without
 * that record is somebody else's and is never changed. Data is always read from the file, so an edit by hand is seen at once.
 * Secrets that manifests declare are beside them in memory; a file of the same name comes before them.
 */
export class SecretStore implements Secrets {
  readonly #directory: string;
  readonly #records = new Map<ObjectKey, SecretRecord>();
  /** The signature of each file as last looked at. */
  readonly #seen = new Map<ObjectKey, string>();
  readonly #declared = new Map<ObjectKey, SecretDeclaration>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reads the records that an earlier run has left. */
  load(): void {
    for (const ref of this.#refsOnDisk()) {
      const parsed = record.safeParse(readJson(this.#recordPath(ref)));
      if (!parsed.success) continue;
      if (this.#text(ref) === undefined) {
        rmSync(this.#recordPath(ref), { force: true });
        continue;
      }
      chmodSync(this.#path(ref), FILE_MODE);
      this.#records.set(keyOf(ref), parsed.data);
      this.#seen.set(keyOf(ref), this.#signature(ref));
    }
  }

  ownedBy(uid: string): readonly StoredSecret[] {
    return this.#owned()
      .filter(({ owner }) => owner.uid === uid)
      .map(({ ref }) => this.#look(ref))
      .filter((secret) => secret !== undefined);
  }

  read(ref: ObjectRef): Promise<StoredSecret | undefined> {
    return Promise.resolve(this.#look(ref));
  }

  readLive(ref: ObjectRef): Promise<StoredSecret | undefined> {
    return Promise.resolve(this.#look(ref));
  }

  async readReferenced(ref: ObjectRef): Promise<ReferencedSecret> {
    const secret = this.#look(ref);
    return secret === undefined ? { kind: 'absent' } : referenced(secret);
  }

  /** The Secrets that files of the folder declare for objects to refer to. */
  declared(): readonly SecretDeclaration[] {
    return [...this.#declared.values()];
  }

  /** Whether it says something else than before. */
  declare(secret: SecretDeclaration): boolean {
    const former = this.#declared.get(keyOf(secret));
    this.#declared.set(keyOf(secret), secret);
    const { type, labels, data } = secret;
    return !isDeepStrictEqual([type, labels, data], former && [former.type, former.labels, former.data]);
  }

  undeclare(ref: ObjectRef): void {
    this.#declared.delete(keyOf(ref));
  }

  async apply(desired: DesiredSecret): Promise<void> {
    const { namespace, name, type, labels, annotations, owner, data } = desired;
    const ref = { namespace, name };
    const current = this.#look(ref);
    if (current !== undefined && (current.owner?.uid !== owner.uid || current.type !== type)) throw conflict(ref);
    const next: SecretRecord = {
      uid: current?.uid ?? randomUUID(),
      resourceVersion: String(Number(current?.resourceVersion ?? '0') + 1),
      type,
      // As a server-side apply: what other people have added stays.
      labels: { ...current?.labels, ...labels },
      annotations: { ...current?.annotations, ...annotations },
      owner,
    };
    mkdirSync(dirname(this.#path(ref)), { recursive: true, mode: DIRECTORY_MODE });
    const text = `# Written for ${owner.kind} ${namespace}/${owner.name}. Edits are undone; delete it to have it written anew.\n${formatEnv(data)}`;
    this.#write(ref, text, next, current === undefined);
  }

  async create(desired: DesiredSecret): Promise<void> {
    if (this.#look(desired) !== undefined) throw conflict(desired);
    await this.apply(desired);
  }

  async replace(seen: StoredSecret, desired: DesiredSecret): Promise<void> {
    const current = this.#look(desired);
    // An edit by hand reaches the data and not the version.
    const same = current?.uid === seen.uid && current.resourceVersion === seen.resourceVersion;
    if (!same || !isDeepStrictEqual(current.data, seen.data)) throw conflict(desired);
    await this.apply(desired);
  }

  async delete(secret: ObjectRef & Pick<StoredSecret, 'uid'>): Promise<void> {
    const current = this.#look(secret);
    if (current === undefined) return;
    if (current.uid !== secret.uid) throw conflict(secret);
    this.#remove(secret);
  }

  /** Garbage collection: removes the Secrets of owners that are no more. */
  collect(isAlive: (owner: Owner) => boolean): void {
    for (const { ref, owner } of this.#owned()) {
      if (!isAlive(owner)) this.#remove(ref);
    }
  }

  /** The owners of Secrets that somebody else has edited or deleted since the last call. */
  takeForeignEdits(): readonly (Owner & { readonly namespace: string })[] {
    const edited: (Owner & { readonly namespace: string })[] = [];
    for (const { ref, owner } of this.#owned()) {
      const signature = this.#signature(ref);
      if (signature === this.#seen.get(keyOf(ref))) continue;
      this.#seen.set(keyOf(ref), signature);
      edited.push({ ...owner, namespace: ref.namespace });
      this.#look(ref);
    }
    return edited;
  }

  #owned(): { ref: ObjectRef; owner: Owner }[] {
    return [...this.#records].map(([key, { owner }]) => {
      const slash = key.indexOf('/');
      return { ref: { namespace: key.slice(0, slash), name: key.slice(slash + 1) }, owner };
    });
  }

  #look({ namespace, name }: ObjectRef): StoredSecret | undefined {
    const ref = { namespace, name };
    const text = this.#text(ref);
    const known = this.#records.get(keyOf(ref));
    if (text === undefined) {
      // Deleted by hand: whoever creates a file of this name next owns it.
      if (known !== undefined) this.#forget(ref);
      const declared = this.#declared.get(keyOf(ref));
      return declared && foreign(ref, declared);
    }
    const data = parseEnv(text);
    return known === undefined ? foreign(ref, { type: 'Opaque', labels: {}, data }) : { ...ref, ...known, data };
  }

  /** The record first: killed in between, the next start finds a record without a file and forgets it. */
  #write(ref: ObjectRef, text: string, next: SecretRecord, fresh: boolean): void {
    writeFileAtomically(this.#recordPath(ref), `${JSON.stringify(next)}\n`, FILE_MODE);
    try {
      if (fresh) createFileAtomically(this.#path(ref), text, FILE_MODE);
      else writeFileAtomically(this.#path(ref), text, FILE_MODE);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      rmSync(this.#recordPath(ref), { force: true });
      throw conflict(ref);
    }
    this.#records.set(keyOf(ref), next);
    this.#seen.set(keyOf(ref), this.#signature(ref));
  }

  #remove(ref: ObjectRef): void {
    rmSync(this.#path(ref), { force: true });
    this.#forget(ref);
  }

  #forget(ref: ObjectRef): void {
    rmSync(this.#recordPath(ref), { force: true });
    this.#records.delete(keyOf(ref));
    this.#seen.delete(keyOf(ref));
  }

  /** Another one after every write, whoever it was. Empty: there is no file. */
  #signature(ref: ObjectRef): string {
    const found = statSync(this.#path(ref), { throwIfNoEntry: false });
    return found === undefined ? '' : `${found.ino}:${found.size}:${found.ctimeMs}`;
  }

  #text(ref: ObjectRef): string | undefined {
    try {
      return readFileSync(this.#path(ref), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #path({ namespace, name }: ObjectRef): string {
    return join(this.#directory, namespace, `${name}.env`);
  }

  #recordPath({ namespace, name }: ObjectRef): string {
    return join(this.#directory, namespace, `.${name}.json`);
  }

  #refsOnDisk(): ObjectRef[] {
    return readdirSync(this.#directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name: namespace }) =>
        readdirSync(join(this.#directory, namespace))
          .map((file) => /^\.([a-z0-9].*)\.json$/.exec(file)?.[1])
          .filter((name) => name !== undefined)
          .map((name) => ({ namespace, name })),
      );
  }
}

/** Nobody's of ours. */
function foreign(ref: ObjectRef, { type, labels, data }: Pick<StoredSecret, 'type' | 'labels' | 'data'>): StoredSecret {
  const { namespace, name } = ref;
  const uid = createHash('sha256')
    .update(`foreign\0${keyOf(ref)}`)
    .digest('hex');
  return { namespace, name, uid, resourceVersion: '0', type, labels, annotations: {}, owner: undefined, data };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Gone or damaged: the Secret counts as somebody else's, and is left alone.
    return undefined;
  }
}

function conflict({ namespace, name }: ObjectRef): TransientError {
  return new TransientError('conflict', `Secret ${namespace}/${name} is not ours`, { quiet: true });
}
