import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leashDirectory } from './leash.ts';

export type TemporaryDirectory = AsyncDisposable & { readonly path: string };

/** A new empty directory, readable by us alone; removed when disposed, or when this process ends. */
export async function temporaryDirectory(purpose: string): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), `relay-operator-${purpose}-`));
  const leash = leashDirectory(path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      leash.release();
    },
  };
}
