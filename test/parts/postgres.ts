import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { postgresBinaries, postgresUser } from './postgres-binaries.ts';
import { runProcess, startProcess } from './process.ts';
import type { RunningProcess } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A PostgreSQL 18 server of its own, on 127.0.0.1, in a temporary directory. */
export type PostgresServer = AsyncDisposable & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The superuser's URL of the database `postgres`. */
  readonly url: string;
  /** Of the postmaster that runs now, or ran last. */
  readonly pid: number;
  /** "Fast" shutdown: clients are disconnected, data is written. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster; resolves when its backends have ended too. */
  kill9(): Promise<void>;
  /** Starts it again after stop or kill9, on the same port and data. Resolves when it accepts connections. */
  start(): Promise<void>;
  /** SIGSTOP to the postmaster alone: open connections still work, new ones hang. */
  pause(): void;
  resume(): void;
  output(): string;
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
  const launch = async (): Promise<RunningProcess> => {
    const started = await startProcess({ command: postgres, args, cwd: directory.path, env, ...asUser });
    try {
      await started.waitForLine(READY);
    } catch (error) {
      await started.stop({ signal: 'SIGQUIT' });
      throw error;
    }
    return started;
  };
  let current = await launch();
  stack.defer(async () => {
    await current.stop({ signal: 'SIGQUIT' });
  });
  const owned = stack.move();
  return {
    host: '127.0.0.1',
    port,
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    get pid() {
      return current.pid;
    },
    stop: async () => {
      await current.stop({ signal: 'SIGINT', graceMs: 20_000 });
    },
    kill9: async () => {
      await current.stop({ signal: 'SIGKILL' });
    },
    start: async () => {
      if (!current.ended) throw new Error(`PostgreSQL on port ${port} already runs`);
      current = await launch();
    },
    pause: () => current.signal('SIGSTOP'),
    resume: () => current.signal('SIGCONT'),
    output: () => current.output(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
