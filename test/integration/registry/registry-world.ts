import { readEntry, type EntryPayload } from '#crds/directory/entry.ts';
import type { AppRow, WebhookHeaders } from '#operator/registry/app-registry.ts';
import type { Registry } from '#operator/registry/registry.ts';
import type { Subject } from '#operator/registry/subject.ts';
import type { MintToken, PromoteToken, TokenPolicy } from '#operator/registry/token-registry.ts';
import { registryDatabase, type Leader, type RegistryDatabase } from '#test/parts/registry-database.ts';

export const NOW = Date.parse('2026-05-01T12:00:00Z');
/** Of the directory, before a test changes anything: taking over with fresh keys took one revision. */
export const BASE = 1;
export const NO_HEADERS: WebhookHeaders = new Map();
export const EVERYTHING: TokenPolicy = { scopes: null, rate: null };
export const LITTLE: TokenPolicy = { scopes: ['channels:read'], rate: { requestsPerMinute: 10, burst: 5 } };
export const shop: Subject = { namespace: 'shop', name: 'checkout', uid: 'uid-1' };

/** The registry in a PostgreSQL of its own, its clock, and what is found in the tables behind its back. */
export class RegistryWorld implements AsyncDisposable {
  readonly #database: RegistryDatabase;
  readonly rings: RegistryDatabase['rings'];
  now = NOW;

  private constructor(database: RegistryDatabase) {
    this.#database = database;
    this.rings = database.rings;
  }

  static async create(): Promise<RegistryWorld> {
    return new RegistryWorld(await registryDatabase());
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#database[Symbol.asyncDispose]();
  }

  /** A new term, and the registry of the operator that leads in it. */
  lead(installation = 'default'): Promise<Leader> {
    return this.#database.lead({ now: () => this.now, installation });
  }

  query(sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
    return this.#database.query(sql, ...values);
  }

  /** The keys of all entries that relays are to hold. */
  async published(): Promise<string[]> {
    return (await this.query('SELECT key FROM entry ORDER BY key COLLATE "C"')).map(({ key }) => String(key));
  }

  async payloadOf(key: string): Promise<EntryPayload> {
    const [entry] = await this.query('SELECT text FROM entry WHERE key = $1', key);
    const read = readEntry(this.rings.directory, String(entry?.['text']));
    if (read.kind !== 'authentic') throw new Error(`${key} is ${read.kind}`);
    return read.entry;
  }

  /** Every table, to see that nothing changed. */
  async everything(): Promise<unknown> {
    return {
      app: await this.query('SELECT * FROM app ORDER BY app_id'),
      keys: await this.query('SELECT * FROM app_key ORDER BY app_id, id'),
      token: await this.query('SELECT * FROM token ORDER BY sha256'),
      entry: await this.query('SELECT * FROM entry ORDER BY key'),
      outbox: await this.query('SELECT * FROM outbox ORDER BY revision'),
      audit: await this.query('SELECT * FROM audit ORDER BY id'),
      directory: await this.query('SELECT * FROM directory'),
    };
  }

  mint(appId: string, more: Partial<MintToken> = {}): MintToken {
    return {
      appId,
      environment: 'Live',
      policy: EVERYTHING,
      state: 'Active',
      expiresAt: null,
      at: this.now,
      rotateRequest: null,
      retire: [],
      revoke: [],
      ...more,
    };
  }

  promote(sha256: string, more: Partial<PromoteToken> = {}): PromoteToken {
    return { sha256, at: this.now, rotateRequest: null, retire: [], revoke: [], ...more };
  }
}

export async function found(registry: Registry, subject: Subject = shop): Promise<AppRow> {
  const row = await registry.findApp(subject, subject.uid);
  if (row === undefined) throw new Error('not registered');
  return row;
}

export const end = (expiresAt: number) => ({ expiresAt, graceUntil: null, final: true });

/** Keys and secrets in plain, to compare. */
export const credentials = ({ keys }: AppRow): string[] => keys.map(({ key, secret }) => `${key}:${secret.reveal()}`);
