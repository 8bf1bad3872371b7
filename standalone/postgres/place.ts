import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../atomic-file.ts';
import type { Binaries } from './binaries.ts';
import { postgresUser, reachable, type User } from './user.ts';

/** Where PostgreSQL runs from, and as whom. */
export type Place = {
  readonly binaries: Binaries;
  /** The folder that holds its data directory; belongs to `user`. */
  readonly home: string;
  readonly user: User | undefined;
};

/** Out of the way of every home directory, and kept over a reboot. */
const ELSEWHERE = '/var/lib/relay-operator-standalone';

/**
 * As a rule programs and data stay where they are. Only when we are root and the user that PostgreSQL is lent may not pass (a project
 * under /root), both move to /var/lib; `elsewhere` in our folder then says where, so that removing the data directory begins anew.
 */
export async function findPlace(home: string, embedded: Binaries): Promise<Place> {
  mkdirSync(home, { recursive: true });
  const user = await postgresUser(join(home, 'data'));
  if (user === undefined) return { binaries: embedded, home, user };
  const note = join(home, 'elsewhere');
  if (!existsSync(note) && reachable(join(home, 'data'), user) && reachable(embedded.postgres, user)) {
    chownSync(home, user.uid, user.gid);
    return { binaries: embedded, home, user };
  }
  if (!existsSync(note)) writeFileAtomically(note, `${join(ELSEWHERE, randomBytes(8).toString('hex'))}\n`, 0o644);
  const elsewhere = readFileSync(note, 'utf8').trim();
  if (!elsewhere.startsWith(`${ELSEWHERE}/`)) throw new Error(`${note} is damaged: expected a folder in ${ELSEWHERE}`);
  mkdirSync(elsewhere, { recursive: true });
  const owner = await postgresUser(join(elsewhere, 'data'));
  const lent = owner ?? user;
  chownSync(elsewhere, lent.uid, lent.gid);
  return { binaries: copied(embedded, elsewhere), home: elsewhere, user: lent };
}

function copied(embedded: Binaries, home: string): Binaries {
  const root = join(home, 'native');
  // Anew at each start: the package may have been updated, and a copy that was cut off must not be trusted.
  const fresh = `${root}.new`;
  for (const path of [fresh, root]) rmSync(path, { recursive: true, force: true });
  cpSync(embedded.root, fresh, { recursive: true, verbatimSymlinks: true });
  renameSync(fresh, root);
  return { root, postgres: join(root, 'bin', 'postgres'), initdb: join(root, 'bin', 'initdb') };
}
