import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export type User = { readonly uid: number; readonly gid: number };

/**
 * PostgreSQL refuses to run as root, so root (as in a container) lends it an unprivileged user of the system: whom the data belongs to
 * already, else `postgres`, else `nobody`. undefined: we are not root, and it runs as ourselves.
 */
export async function postgresUser(data: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(data, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const accounts = await readFile('/etc/passwd', 'utf8');
  const user = find(accounts, 'postgres') ?? find(accounts, 'nobody');
  if (user === undefined) {
    throw new Error(
      'PostgreSQL cannot run as root, and there is neither a user postgres nor nobody: start this as another user',
    );
  }
  return user;
}

function find(accounts: string, name: string): User | undefined {
  const line = accounts.split('\n').find((candidate) => candidate.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** Whether the user may pass through every folder on the way to `path`, which need not exist yet. */
export function reachable(path: string, user: User): boolean {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const stat = statSync(folder, { throwIfNoEntry: false });
    if (stat !== undefined) {
      const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001;
      if ((stat.mode & bit) === 0) return false;
    }
    if (folder === dirname(folder)) return true;
  }
}
