import type pg from 'pg';
import { migrate, readMigrations } from '#operator/postgres/migrate.ts';
import { createPool } from '#operator/postgres/pool.ts';
import { createDatabase, type TestDatabase } from './postgres-database.ts';

/** A database of its own with all migrations. @param server default: the one of this test run */
export function migratedDatabase(server?: string): Promise<TestDatabase> {
  return createDatabase({
    ...(server === undefined ? {} : { server }),
    template: {
      name: 'migrated',
      migrate: async (url) => {
        await using pool = disposablePool(url);
        await migrate(pool.pool, await readMigrations());
      },
    },
  });
}

export function disposablePool(url: string): AsyncDisposable & { readonly pool: pg.Pool } {
  const pool = createPool({ url, onConnectionLost: () => {} });
  return { pool, [Symbol.asyncDispose]: () => pool.end() };
}
