import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { inject } from 'vitest';

/** A database of its own for a test. Disposing drops it, with whoever is still connected. */
export type TestDatabase = AsyncDisposable & {
  readonly name: string;
  readonly url: string;
};

export type DatabaseTemplate = {
  /** Names the template on the server: the same name means the same content. Lower case letters, digits, `_`. */
  readonly name: string;
  /** Fills the empty database at `url`. Called once per server, whichever test file comes first. */
  readonly migrate: (url: string) => Promise<void>;
};

/**
 * Creates an empty database, or a clone of `template`. On the server of this test run (postgres-setup.ts), unless
 * `server` is the superuser's URL of another one.
 */
export async function createDatabase(
  options: { readonly server?: string; readonly template?: DatabaseTemplate } = {},
): Promise<TestDatabase> {
  const server = options.server ?? inject('postgresUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withClient(server, async (client) => {
    const template =
      options.template === undefined ? 'template0' : await ensureTemplate(client, server, options.template);
    await client.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(template)}`);
  });
  return {
    name,
    url: databaseUrl(server, name),
    [Symbol.asyncDispose]: () =>
      withClient(server, async (client) => {
        await client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`);
      }),
  };
}

async function ensureTemplate(client: Client, server: string, { name, migrate }: DatabaseTemplate): Promise<string> {
  const template = `template_${name}`;
  const building = `building_${name}`;
  // Test files run in parallel: the first migrates, the others wait for it.
  await client.query(`SELECT pg_advisory_lock(hashtext(${escapeLiteral(template)}))`);
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (rowCount !== 0) return template;
    await client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(building)} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${escapeIdentifier(building)} TEMPLATE template0`);
    await migrate(databaseUrl(server, building));
    await client.query(`ALTER DATABASE ${escapeIdentifier(building)} RENAME TO ${escapeIdentifier(template)}`);
    return template;
  } finally {
    await client.query(`SELECT pg_advisory_unlock(hashtext(${escapeLiteral(template)}))`);
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs one statement on a connection of its own and returns its rows. */
export async function queryDatabase(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
