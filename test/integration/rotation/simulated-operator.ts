import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type pg from 'pg';
import type { Keyring } from '#crds/keyring.ts';
import type { DirectoryView } from '#operator/directory/enforcement.ts';
import { monotonicClock } from '#operator/directory/clock.ts';
import { EnforcementWatch, type Enforcement } from '#operator/directory/enforcement-watch.ts';
import { createKindReconciles, type KindReconciles } from '#operator/kind-reconciles.ts';
import { createDirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import type { CredentialUses } from '#operator/registry/credential-use.ts';
import { keyOf } from '#operator/world/object-ref.ts';
import { TransientError } from '#operator/engine/errors.ts';
import { openFolderWorld, type RunningFolderWorld } from '#test/parts/folder-world.ts';
import { Crash } from './crashes.ts';

export type SimulatedOperatorOptions = {
  readonly pool: pg.Pool;
  readonly encryption: Keyring;
  readonly directory: Keyring;
  readonly folder: string;
  readonly data: string;
  /** Epoch ms. */
  readonly now: () => number;
  readonly view: () => DirectoryView;
  readonly uses: CredentialUses;
  /** What it calls instead of each port, by the port's name. */
  readonly wrap: <T extends object>(port: T, name: string) => T;
  /** The world that it shares with another operator; default: it opens one of its own. */
  readonly world?: RunningFolderWorld;
  /** Lets the relays hear of what was committed, while a status waits for them. Default: nobody hears anything meanwhile. */
  readonly reached?: () => Promise<void>;
  /** It leads, under this term. */
  readonly onTerm?: (term: number) => void;
  /** A reconcile failed, and not for a race that it lost; it is tried again. Default: it is an error of the test. */
  readonly onTrouble?: (error: unknown) => void;
};

const log = pino({ level: 'silent' });
const URL_OF_RELAY = 'https://relay.example.com';

/** What a key was told: when it wants to be looked at again (epoch ms). */
type Due = Map<string, number>;

/**
 * The operator's real reconcilers over a real PostgreSQL and a folder, on a clock that the test moves: no queue and no timers, one call
 * that does everything that is due. It can be killed at any call of any port, and starts again with nothing in memory.
 */
export class SimulatedOperator implements AsyncDisposable {
  readonly #options: SimulatedOperatorOptions;
  #world: RunningFolderWorld | undefined;
  #kinds: KindReconciles | undefined;
  readonly #due: Due = new Map();
  #unsubscribe: (() => void) | undefined;
  #relays = new EnforcementWatch(monotonicClock);
  crashes = 0;

  constructor(options: SimulatedOperatorOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#kinds !== undefined;
  }

  /** A new process: a new term, caches read anew. Everything is looked at once. */
  async start(): Promise<void> {
    const { pool, encryption, directory, folder, data, now, view, uses, wrap, reached, onTerm } = this.#options;
    const { term } = await createRegistryLog({ pool, keyring: directory, random: randomBytes }).takeOver();
    onTerm?.(term);
    const commit = createDirectoryCommit({ pool, keyring: directory, term: () => term, onCommitted: () => {} });
    const rings = { installation: 'simulated', encryption, directory };
    const registry = wrap(
      createRegistry({ pool, commit, rings, now, channels: { mail: true, webhook: false } }),
      'registry',
    );
    const opened = this.#options.world ?? (await openFolderWorld(folder, data, now));
    const { world } = opened;
    const relays = new EnforcementWatch(monotonicClock);
    const enforcement: Enforcement = {
      view,
      reached: reached ?? (() => Promise.resolve()),
      onChange: (listener) => relays.onChange(listener),
    };
    this.#relays = relays;
    this.#world = opened;
    const kinds = createKindReconciles({
      world: {
        apps: wrap(world.apps, 'apps'),
        tokens: wrap(world.tokens, 'tokens'),
        certificates: wrap(world.certificates, 'certificates'),
        certManager: world.certManager,
        secrets: wrap(world.secrets, 'secrets'),
        recorder: world.recorder,
      },
      registry,
      enforcement,
      uses,
      endpoints: { public: URL_OF_RELAY, internal: URL_OF_RELAY },
      oldCredentials: { set: () => {} },
      earlyStatuses: { written: () => {} },
      mail: true,
      allowedIssuers: [],
      now,
    });
    this.#kinds = kinds;
    this.#due.clear();
    // A word of the relays is another look at what waits for one.
    for (const [kind, { pending }] of [
      ['RelayApp', kinds.app],
      ['RelayToken', kinds.token],
      ['ClientCertificate', kinds.certificate],
    ] as const)
      pending.start((key) => this.#due.set(`${kind} ${key}`, 0));
    // Whatever is written, by whomever, is looked at again.
    this.#unsubscribe = world.subscribe(({ kind, ref }) => this.#due.set(`${kind} ${keyOf(ref)}`, 0));
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#kinds = undefined;
    if (this.#options.world === undefined) await this.#world?.[Symbol.asyncDispose]();
    this.#world = undefined;
  }

  /** Reads the manifests again, and sees who has edited a Secret. */
  async look(): Promise<void> {
    await this.#world?.look();
    this.#world?.world.noticeSecretEdits();
  }

  /** Every object is due, as at a resync. */
  resync(): void {
    this.#due.clear();
  }

  /** Looks at every object that is due, or that changed; says whether there was any. A kill ends it, and the process. */
  async work(): Promise<boolean> {
    if (this.#kinds === undefined || this.#world === undefined) return false;
    const { now, view } = this.#options;
    this.#relays.update(view());
    let worked = false;
    for (const [kind, reconcile] of [
      ['RelayApp', this.#kinds.app.reconcile],
      ['RelayToken', this.#kinds.token.reconcile],
      ['ClientCertificate', this.#kinds.certificate.reconcile],
    ] as const) {
      for (const ref of this.#world.world.refs(kind)) {
        const key = keyOf(ref);
        const name = `${kind} ${key}`;
        if ((this.#due.get(name) ?? 0) > now()) continue;
        worked = true;
        try {
          const outcome = await reconcile(key, { signal: new AbortController().signal, log, reconcileId: 'simulated' });
          this.#due.set(name, outcome.kind === 'requeueAfter' ? now() + outcome.ms : Number.POSITIVE_INFINITY);
        } catch (error) {
          if (error instanceof Crash) {
            this.crashes += 1;
            await this.stop();
            return true;
          }
          if (!(error instanceof TransientError && error.quiet)) {
            if (this.#options.onTrouble === undefined) throw error;
            this.#options.onTrouble(error);
          }
          this.#due.set(name, now());
        }
      }
    }
    return worked;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
