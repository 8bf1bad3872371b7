import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { postgresBinaries, postgresUser } from './postgres-binaries.ts';
import { runProcess } from './process.ts';
import { startRestartable } from './restartable-process.ts';
import type { RestartableProcess } from './restartable-process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/**
 * A PostgreSQL 18 server of its own, on 127.0.0.1, in a temporary directory. `stop` is the "fast" shutdown: clients are
 * disconnected, data is written. `kill9` hits the postmaster and resolves when its backends have ended too. `pause`
 * freezes the postmaster alone: open connections still work, new ones hang.
 */
export type PostgresServer = RestartableProcess & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The superuser's URL of the database `postgres`. */
  readonly url: string;
};

export type PostgresOptions = {
  /** Settings, e.g. `{ max_connections: '10' }`. */
  readonly settings?: Readonly<Record<string, string>>;
};

const PASSWORD = 'test';
const READY = /database system is ready to accept connections/;

/**
 * Creates and starts a server. Without fsync: it survives kill9 (the data is in the kernel), only not a power cut.
 * Settings are on the command line, so that they also apply after a restart.
 */
export async function startPostgres({ settings = {} }: PostgresOptions = {}): Promise<PostgresServer> {
  const { postgres, initdb } = await postgresBinaries();
  const user = await postgresUser();
  const asUser = user === undefined ? {} : { user };
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('postgres'));
  const data = join(directory.path, 'data');
  const passwordFile = join(directory.path, 'password');
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, `${PASSWORD}\n`);
  if (user !== undefined) {
    for (const path of [directory.path, data, passwordFile]) await chown(path, user.uid, user.gid);
  }
  // The C locale's messages: READY is matched against them.
  const env = { LC_ALL: 'C', LANG: 'C' };
  const created = await runProcess({
    command: initdb,
    args: [
      `--pgdata=${data}`,
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
    ],
    cwd: directory.path,
    env,
    ...asUser,
  });
  if (created.code !== 0) throw new Error(`initdb failed (${created.signal ?? created.code}): ${created.stderr}`);

  const port = await freePort();
  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: '200',
    shared_buffers: '32MB',
    ...settings,
  };
  const args = ['-D', data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const server = stack.use(
    await startRestartable(
      { command: postgres, args, cwd: directory.path, env, ...asUser },
      { ready: (started) => started.waitForLine(READY), stopSignal: 'SIGINT', disposeSignal: 'SIGQUIT' },
    ),
  );
  const owned = stack.move();
  return {
    ...server,
    get pid() {
      return server.pid;
    },
    host: '127.0.0.1',
    port,
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
