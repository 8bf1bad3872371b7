import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Secret } from '#crds/keyring.ts';
import { writeFileAtomically } from '../atomic-file.ts';
import type { Place } from './place.ts';

export const SUPERUSER = 'relay';

/** The data directory, created at the first start. One that was cut off while it was made is made anew. Returns its path. */
export async function ensureCluster({ binaries, home, user }: Place, password: Secret): Promise<string> {
  const data = join(home, 'data');
  if (existsSync(data)) return data;
  const fresh = join(home, 'data.new');
  const passwordFile = join(home, 'password');
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  writeFileAtomically(passwordFile, `${password.reveal()}\n`, 0o600);
  if (user !== undefined) for (const path of [fresh, passwordFile]) chownSync(path, user.uid, user.gid);
  const args = [
    `--pgdata=${fresh}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
  ];
  try {
    await promisify(execFile)(binaries.initdb, args, { cwd: home, env: environment(), ...user });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Error(`PostgreSQL could not be set up in ${home}: ${said}`, { cause: error });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(fresh, data);
  return data;
}

/** English messages in UTC, and nothing of ours. */
export function environment(): NodeJS.ProcessEnv {
  return { LC_ALL: 'C', LANG: 'C', TZ: 'UTC' };
}
