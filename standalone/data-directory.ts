import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Where things are in the data directory; docs/standalone.md is the list for users. */
export type DataDirectory = Disposable & {
  readonly path: string;
  readonly keys: string;
  readonly postgres: string;
  readonly secrets: string;
  readonly status: string;
};

/** Another process works on this data directory. */
export class DataDirectoryInUseError extends Error {
  constructor(path: string) {
    super(`another one is running on ${path}: stop it first, or choose another data directory with --data`);
    this.name = 'DataDirectoryInUseError';
  }
}

/**
 * Opens the data directory for this process alone. The lock is SQLite's exclusive lock on a file, which the kernel drops when its
 * holder dies: there is no stale lock to break. Throws {@link DataDirectoryInUseError}.
 */
export function openDataDirectory(path: string): DataDirectory {
  const root = resolve(path);
  mkdirSync(root, { recursive: true });
  const secrets = join(root, 'secrets');
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(join(root, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) throw new DataDirectoryInUseError(path);
    throw error;
  }
  return {
    path: root,
    keys: join(root, 'keys.env'),
    postgres: join(root, 'postgres'),
    secrets,
    status: join(root, 'status'),
    [Symbol.dispose]: () => lock.close(),
  };
}
