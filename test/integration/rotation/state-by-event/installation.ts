import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { CONDITION } from '#crds/conditions.ts';
import { Keyring } from '#crds/keyring.ts';
import type { CredentialUse } from '#operator/registry/credential-use.ts';
import { parseObject, type FolderObject } from '#standalone/folder/object-file.ts';
import type { MemoryDirectoryState } from '#standalone/memory-directory.ts';
import { formatEnv, parseEnv } from '#standalone/folder/env-text.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { mortal } from '../crashes.ts';
import { readSecret } from '../simulated-client.ts';
import { SimulatedOperator } from '../simulated-operator.ts';
import { SimulatedRelay } from '../simulated-relay.ts';
import { backUp, restore, type Backup } from './backup.ts';
import { Replica, SimulatedDirectory, type Condition } from './directory.ts';
import { APP_OF_OTHERS, appSpecFor, NAMESPACE, type Subject } from './subjects.ts';

export const SECOND = 1_000;
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const BEGIN = Date.UTC(2027, 0, 1);
/** What waits for relays, or comes soon, is looked at again after that. */
const LOOK_MS = 2_500;
const READS = /\.(find|read|announced|look|state)/;

export type Values = Readonly<Record<string, string>>;
/** A credential that the operator has handed out: A, B, C, in the order in which they came. */
export type Credential = { readonly letter: string; readonly identity: string; readonly values: Values };

/** All stores at one moment, to go back to. */
export type Moment = {
  readonly postgres: Backup;
  readonly redis: MemoryDirectoryState;
  /** A copy of the folder with manifests, objects and Secrets: etcd. */
  readonly kubernetes: string;
  readonly credentials: readonly Credential[];
  readonly now: number;
};

const DIRECTORIES = { apps: 'RelayApp', tokens: 'RelayToken', certificates: 'ClientCertificate' } as const;

// Long, because an installation is one state: splitting it would hand all of it around.
/** Operator, relays and the four stores of one object, each of which can be put into any state. */
export class Installation implements AsyncDisposable {
  readonly subject: Subject;
  readonly pool: pg.Pool;
  readonly directory: SimulatedDirectory;
  readonly operator: SimulatedOperator;
  readonly #path: string;
  readonly #ring: Keyring;
  #owned = new AsyncDisposableStack();
  #onLook: () => Promise<void> = () => Promise.resolve();
  #onHandOut: () => void = () => {};
  #copies = 0;
  #parsed: { readonly text: string; readonly object: FolderObject } | undefined;
  /** How often the manifests are to be read again: a deletion is believed at the second time. */
  #unread = 0;
  now = BEGIN;
  credentials: readonly Credential[] = [];
  /** What was declared, the last of it last; undefined: the object was withdrawn. */
  declared: readonly (Readonly<Record<string, unknown>> | undefined)[] = [];
  /** PostgreSQL answers nobody. */
  databaseUnreachable = false;
  /** No operator runs, and none is started. */
  unattended = false;
  /** The call at which the operator is killed, once. */
  killAt: string | undefined;
  /** Somebody who is not the operator has written the Secret. */
  tampered = false;
  /** Somebody put an end to these, with what was declared last or by deleting the object. */
  killed: readonly Credential[] = [];
  killedAt = 0;
  /** What is declared lets nobody in. */
  dead = false;
  /** What relays served may be lost: the truth was put back to an earlier time, or the credentials' own time is over. */
  excused = false;
  writes: string[] = [];
  troubles: unknown[] = [];
  readonly #uses = new Map<string, CredentialUse>();
  #knownUntil: number | null = null;

  private constructor(subject: Subject, database: pg.Pool, path: string, directoryRing: Keyring, encryption: Keyring) {
    this.subject = subject;
    this.#path = path;
    const refuse = (): Promise<never> => Promise.reject(new Error('connect ECONNREFUSED'));
    this.pool = new Proxy(database, {
      get: (target, property) => {
        if (this.databaseUnreachable && (property === 'query' || property === 'connect')) return refuse;
        const member: unknown = Reflect.get(target, property, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    this.directory = new SimulatedDirectory(directoryRing, this.pool);
    this.operator = new SimulatedOperator({
      pool: this.pool,
      encryption,
      directory: directoryRing,
      folder: join(path, 'etcd/manifests'),
      data: join(path, 'etcd/data'),
      // No two calls of it at the same moment.
      now: () => (this.now += 1),
      view: () => this.directory.view(),
      uses: { of: () => Promise.resolve(this.#uses), knownUntil: () => this.#knownUntil },
      wrap: (port, name) => mortal(port, name, (call) => this.#strike(call)),
      reached: () => this.directory.beats(2),
      onTerm: (term) => this.directory.lead(term),
      onTrouble: (error) => this.troubles.push(error),
    });
    this.#ring = directoryRing;
  }

  static async open(subject: Subject): Promise<Installation> {
    const stack = new AsyncDisposableStack();
    const database = stack.use(await migratedDatabase());
    const { pool } = stack.use(disposablePool(database.url));
    const directory = stack.use(await temporaryDirectory('state-by-event'));
    const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);
    await mkdir(join(directory.path, 'etcd/manifests'), { recursive: true });
    const installation = new Installation(subject, pool, directory.path, ring('d1'), ring('e1'));
    stack.use(installation.operator);
    installation.#owned = stack;
    return installation;
  }

  /** Called after everything that operator and relays did, and as soon as a Secret has another value; until everything starts anew. */
  onLook(look: () => Promise<void>, handedOut: () => void): void {
    this.#onLook = look;
    this.#onHandOut = handedOut;
  }

  // Kubernetes

  async declare(
    spec: Readonly<Record<string, unknown>>,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { kind, name } = this.subject;
    this.declared = [...this.declared, spec];
    await this.#apply(kind, name, spec, annotations);
  }

  async declareApp(): Promise<void> {
    if (this.subject.kind !== 'RelayApp')
      await this.#apply('RelayApp', APP_OF_OTHERS.name, appSpecFor(this.subject), {});
  }

  async #apply(kind: string, name: string, spec: object, annotations: object): Promise<void> {
    const metadata = { name, namespace: NAMESPACE, annotations };
    const manifest = { apiVersion: 'relay-operator.dev/v1alpha1', kind, metadata, spec };
    this.#unread = 2;
    await writeFile(join(this.#path, 'etcd/manifests', `${kind}-${name}.yaml`), JSON.stringify(manifest));
  }

  /** Every credential that there is ends with what was just declared, or not any more. */
  kill(): void {
    Object.assign(this, { killed: this.credentials, killedAt: this.now, dead: true, excused: true });
  }

  /** Deleted for good once the operator has looked twice. */
  async withdraw(): Promise<void> {
    const { kind, name } = this.subject;
    this.declared = [...this.declared, undefined];
    this.#unread = 2;
    await rm(join(this.#path, 'etcd/manifests', `${kind}-${name}.yaml`), { force: true });
  }

  /** Every object and Secret is lost; the manifests are applied again to an empty cluster. */
  async rebuildCluster(): Promise<void> {
    await this.operator.stop();
    await rm(join(this.#path, 'etcd/data'), { recursive: true });
  }

  async object(): Promise<FolderObject | undefined> {
    const { kind, name } = this.subject;
    const [folder] = Object.entries(DIRECTORIES).find(([, each]) => each === kind) ?? [''];
    const path = join(this.#path, 'etcd/data', folder, NAMESPACE, `${name}.yaml`);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    if (this.#parsed?.text !== text) this.#parsed = { text, object: parseObject(text) };
    return this.#parsed.object;
  }

  async condition(type: (typeof CONDITION)[keyof typeof CONDITION]) {
    const object = await this.object();
    // Deleting is a generation of its own in a cluster.
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return undefined;
    const found = object.status?.conditions?.find((condition) => condition.type === type);
    return found?.observedGeneration === object.metadata.generation ? found : undefined;
  }

  /** What a pod would read now. Of a certificate: what its holder has. */
  readable(): Values | undefined {
    const path = this.#secretPath(`${this.subject.secret ?? APP_OF_OTHERS.secret}.env`);
    return existsSync(path) ? { ...parseEnv(readFileSync(path, 'utf8')) } : undefined;
  }

  readStaged(): Promise<Values | undefined> {
    return readSecret(join(this.#path, 'etcd/data'), NAMESPACE, `${this.subject.secret ?? ''}-next`);
  }

  #secretPath = (file: string): string => join(this.#path, 'etcd/data/secrets', NAMESPACE, file);

  async deleteSecret(suffix = ''): Promise<void> {
    this.#unread = 1;
    await rm(this.#secretPath(`${this.subject.secret ?? ''}${suffix}.env`), { force: true });
    this.#onHandOut();
  }

  async writeSecret(values: Values): Promise<void> {
    this.tampered = true;
    this.#unread = 1;
    await writeFile(this.#secretPath(`${this.subject.secret ?? ''}.env`), formatEnv(values));
    this.#onHandOut();
  }

  /** A Secret of that name which nothing of the operator owns. */
  async writeForeignSecret(suffix = ''): Promise<void> {
    await this.deleteSecret(suffix);
    // Seen to be gone: what comes then belongs to whoever wrote it.
    await this.operator.look();
    if (suffix === '') this.tampered = true;
    this.#unread = 1;
    await mkdir(this.#secretPath(''), { recursive: true });
    await writeFile(
      this.#secretPath(`${this.subject.secret ?? ''}${suffix}.env`),
      formatEnv({ whose: 'somebody else' }),
    );
  }

  // PostgreSQL, Redis, relays

  async moment(): Promise<Moment> {
    const kubernetes = join(this.#path, `copy-${(this.#copies += 1)}`);
    await cp(join(this.#path, 'etcd'), kubernetes, { recursive: true });
    const { credentials, now } = this;
    return { postgres: await backUp(this.pool), redis: this.directory.keep(), kubernetes, credentials, now };
  }

  async restorePostgres({ postgres }: Moment): Promise<void> {
    await this.operator.stop();
    this.directory.lead(undefined);
    await restore(this.pool, postgres);
  }

  async restoreKubernetes({ kubernetes }: Moment): Promise<void> {
    await this.operator.stop();
    await rm(join(this.#path, 'etcd'), { recursive: true });
    await cp(kubernetes, join(this.#path, 'etcd'), { recursive: true });
    this.declared = [...this.declared, this.subject.spec];
  }

  join(id: string): void {
    this.directory.replicas.push(new Replica(id, this.#ring, () => this.now));
  }

  set(condition: Condition, ...indices: readonly number[]): void {
    for (const index of indices) {
      const replica = this.directory.replicas[index];
      if (replica === undefined) continue;
      replica.condition = condition;
      replica.relay.lagging = condition === 'lagging' || condition === 'silent';
    }
  }

  /** Somebody uses it now, at a relay that lets them. */
  use(letter: string): void {
    const credential = this.credentials.find((each) => each.letter === letter);
    const [relay] = this.directory.serving();
    if (credential === undefined || relay === undefined) return;
    const verdict = this.subject.protocol.call(relay, credential.values);
    if (verdict.refusal !== undefined) return;
    const requests = (this.#uses.get(verdict.credential)?.requests ?? 0) + 1;
    this.#uses.set(verdict.credential, { lastUsedAt: this.now, requests, client: 'pusher-http-node 5.3.4' });
  }

  /** One that has just read everything from PostgreSQL. */
  async freshRelay(): Promise<SimulatedRelay> {
    const relay = new SimulatedRelay('fresh', this.#ring, () => this.now);
    await relay.follow(this.pool);
    return relay;
  }

  accepts(relay: SimulatedRelay, { values }: Pick<Credential, 'values'>): boolean {
    return this.subject.protocol.call(relay, values).refusal === undefined;
  }

  // Time

  /** Everything starts where it was then, with two relays that boot. */
  async goTo(moment: Moment): Promise<void> {
    this.databaseUnreachable = false;
    this.directory.unreachable = false;
    this.onLook(
      () => Promise.resolve(),
      () => {},
    );
    await this.restorePostgres(moment);
    await this.restoreKubernetes(moment);
    this.directory.put(moment.redis);
    this.directory.replicas.length = 0;
    for (const id of ['relay-0', 'relay-1']) this.join(id);
    this.#uses.clear();
    const { now, credentials } = moment;
    const anew = { unattended: false, killAt: undefined, tampered: false, killed: [], dead: false, excused: false };
    Object.assign(this, { now, credentials, writes: [], troubles: [], ...anew });
    await this.settle();
  }

  /** Until nothing is left to do, or it waits for something that does not come. */
  async settle(): Promise<void> {
    for (let look = 0; look < 12; look += 1) {
      if (!this.operator.running && !this.unattended)
        await this.operator.start().catch((error: unknown) => this.troubles.push(error));
      if (this.#unread > 0) {
        this.#unread -= 1;
        await this.operator.look();
      }
      this.#noteUses();
      // A relay that says nothing is missed after some beats, and what waits for it goes on only then.
      const heard = look > 0 && !this.directory.waitsForWord();
      const worked = await this.operator.work();
      await this.directory.beats(4);
      await this.#look();
      this.now += LOOK_MS;
      if (heard && (look >= 5 || (!worked && (this.operator.running || this.unattended)))) return;
    }
  }

  /** Everything is looked at again. */
  async resync(): Promise<void> {
    this.operator.resync();
    await this.settle();
  }

  /** A process that starts anew looks at everything, too. */
  async restart(): Promise<void> {
    await this.operator.stop();
    await this.settle();
  }

  #noteUses(): void {
    const heard = this.directory.replicas.every(({ condition }) => condition === 'well' || condition === 'dead');
    if (heard && !this.directory.unreachable) this.#knownUntil = this.now;
  }

  async #look(): Promise<void> {
    this.#name();
    await this.#onLook();
  }

  /** Gives what the operator handed out its letter. */
  #name(): void {
    const values = this.readable();
    const { protocol, secret } = this.subject;
    if (values === undefined || (this.tampered && secret !== undefined)) return;
    const identity = protocol.identity(values);
    if (identity.trim() === '') return;
    const known = this.credentials.find((credential) => credential.identity === identity);
    const letter = known?.letter ?? String.fromCodePoint(65 + this.credentials.length);
    const credential = { letter, identity, values };
    this.credentials = [...this.credentials.filter((each) => each !== known), credential].toSorted((one, other) =>
      one.letter.localeCompare(other.letter),
    );
  }

  #strike(call: string): boolean {
    if (call.startsWith('before ') && !READS.test(call)) {
      this.writes.push(call.slice('before '.length));
      if (/secrets\.(apply|replace)/.test(call)) this.tampered = false;
    }
    if (/^after secrets\.(apply|replace)/.test(call)) {
      this.#name();
      this.#onHandOut();
    }
    if (call !== this.killAt) return false;
    this.killAt = undefined;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}
