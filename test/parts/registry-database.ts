import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { Keyring } from '#crds/keyring.ts';
import type { Channels } from '#operator/notifications/announcement.ts';
import type { Rings } from '#operator/postgres/app-rows.ts';
import { createDirectoryCommit, type DirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import type { Registry } from '#operator/registry/registry.ts';
import { disposablePool, migratedDatabase } from './migrated-database.ts';

/** An operator that leads, as far as the registry knows. */
export type Leader = {
  readonly term: number;
  readonly registry: Registry;
  readonly commit: DirectoryCommit;
  readonly rings: Rings;
};

export type LeaderOptions = {
  readonly now: () => number;
  /** Whom announcements reach; default: nobody. */
  readonly channels?: Channels;
  /** ENCRYPTION_KEYS; default: one key, always the same. */
  readonly encryption?: Keyring;
  /** Default: `default`. */
  readonly installation?: string;
};

export type RegistryDatabase = AsyncDisposable & {
  readonly pool: pg.Pool;
  /** Those that every leader has, unless it is told another. */
  readonly rings: Rings;
  query(sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]>;
  /** Takes a new term. */
  lead(options: LeaderOptions): Promise<Leader>;
};

const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);

/** A database of its own with all migrations, and leaders over it. */
export async function registryDatabase(): Promise<RegistryDatabase> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await migratedDatabase());
  const { pool } = stack.use(disposablePool(database.url));
  const same: Rings = { installation: 'default', encryption: ring('e1'), directory: ring('d1') };
  return {
    pool,
    rings: same,
    query: async (sql, ...values) => (await pool.query<Record<string, unknown>>(sql, values)).rows,
    lead: async ({ now, channels, ...others }) => {
      const rings = { ...same, ...others };
      const { term } = await createRegistryLog({ pool, keyring: rings.directory, random: randomBytes }).takeOver();
      const commit = createDirectoryCommit({
        pool,
        keyring: rings.directory,
        term: () => term,
        onCommitted: () => {},
      });
      const registry = createRegistry({ pool, commit, rings, now, ...(channels === undefined ? {} : { channels }) });
      return { term, commit, rings, registry };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
