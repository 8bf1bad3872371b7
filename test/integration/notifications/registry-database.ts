import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { Keyring } from '#crds/keyring.ts';
import type { Channels } from '#operator/notifications/announcement.ts';
import type { Rings } from '#operator/postgres/app-rows.ts';
import { createDirectoryCommit, type DirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { migrate, readMigrations } from '#operator/postgres/migrate.ts';
import { createPool } from '#operator/postgres/pool.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import type { Registry } from '#operator/registry/registry.ts';
import { createDatabase } from '#test/parts/postgres-database.ts';

/** An operator that leads, as far as the registry knows. */
export type Leader = {
  readonly term: number;
  readonly registry: Registry;
  readonly commit: DirectoryCommit;
  readonly rings: Rings;
};

export type RegistryDatabase = AsyncDisposable & {
  readonly pool: pg.Pool;
  readonly installation: string;
  /** Takes a new term. `encryption`: ENCRYPTION_KEYS; default: one key, always the same. */
  lead(channels: Channels, now: () => number, encryption?: Keyring): Promise<Leader>;
};

const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);

/** A database of its own with all migrations, and leaders over it. */
export async function registryDatabase(): Promise<RegistryDatabase> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(
    await createDatabase({
      template: {
        name: 'registry',
        migrate: async (url) => {
          const migrating = createPool({ url, onConnectionLost: () => {} });
          await migrate(migrating, await readMigrations());
          await migrating.end();
        },
      },
    }),
  );
  const pool = createPool({ url: database.url, onConnectionLost: () => {} });
  stack.defer(() => pool.end());
  const installation = 'default';
  const [sameEncryption, directory] = [ring('e1'), ring('d1')];
  return {
    pool,
    installation,
    lead: async (channels, now, encryption = sameEncryption) => {
      const { term } = await createRegistryLog({ pool, keyring: directory, random: randomBytes }).takeOver();
      const commit = createDirectoryCommit({ pool, keyring: directory, term: () => term, onCommitted: () => {} });
      const rings = { installation, encryption, directory };
      return { term, commit, rings, registry: createRegistry({ pool, commit, rings, now, channels }) };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
