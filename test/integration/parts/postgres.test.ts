import { Client } from 'pg';
import { expect, test } from 'vitest';
import { createDatabase } from '#test/parts/postgres-database.ts';
import { startPostgres } from '#test/parts/postgres.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test('the databases of two tests are clones of one template and do not see each other', async () => {
  let migrations = 0;
  const template = {
    name: 'parts',
    migrate: async (url: string): Promise<void> => {
      migrations += 1;
      await query(url, 'CREATE TABLE t (v int)');
    },
  };
  const both = await Promise.all([createDatabase({ template }), createDatabase({ template })]);
  const [one, two] = both;
  await using stack = new AsyncDisposableStack();
  for (const database of both) stack.use(database);
  await query(one.url, 'INSERT INTO t VALUES (1)');
  expect(await query(one.url, 'SELECT v FROM t')).toEqual([{ v: 1 }]);
  expect(await query(two.url, 'SELECT v FROM t')).toEqual([]);
  expect(migrations).toBe(1);
});

test('a killed server comes back on its port with what was committed', async () => {
  await using server = await startPostgres();
  await query(server.url, 'CREATE TABLE t AS SELECT 1 AS v');
  await server.kill9();
  await expect(query(server.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  await server.start();
  expect(server.output()).toContain('was not properly shut down');
  expect(await query(server.url, 'SELECT v FROM t')).toEqual([{ v: 1 }]);
  await server.stop();
  await server.start();
  expect(server.output()).not.toContain('was not properly shut down');
  expect(await query(server.url, 'SHOW server_version_num')).toEqual([
    { server_version_num: expect.stringMatching(/^18/) },
  ]);
});
