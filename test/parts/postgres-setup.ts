import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres.ts';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest's interface is merged with this one
  interface ProvidedContext {
    /** The superuser's URL of this run's PostgreSQL; see postgres-database.ts. */
    postgresUrl: string;
  }
}

/** vitest globalSetup: one PostgreSQL server for all test files of a run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  project.provide('postgresUrl', server.url);
  return async () => {
    await server[Symbol.asyncDispose]();
  };
}
