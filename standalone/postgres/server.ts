import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Secret } from '#crds/keyring.ts';
import { embeddedBinaries } from './binaries.ts';
import { ensureCluster, environment, SUPERUSER } from './cluster.ts';
import { guardProcess } from './guard.ts';
import { endLeftover } from './leftover.ts';
import { freeLoopbackPort } from './loopback-port.ts';
import { findPlace, type Place } from './place.ts';

/** A PostgreSQL of our own on the loopback interface, started again when it dies. Disposing stops it and writes everything out. */
export type EmbeddedPostgres = AsyncDisposable & { readonly url: string };

export type EmbeddedPostgresOptions = {
  /** The folder that is its own. The caller holds the lock. */
  readonly home: string;
  readonly password: Secret;
  readonly log: Logger;
};

const READY = /database system is ready to accept connections/;
const START_PATIENCE_MS = 60_000;
const STOP_PATIENCE_MS = 10_000;

/** Creates the database at the first start, recovers it after a crash, and resolves when it accepts connections. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const place = await findPlace(options.home, await embeddedBinaries());
  const data = await ensureCluster(place, options.password);
  await endLeftover(data);
  const port = await freeLoopbackPort();
  let stopping = false;
  let running = await startServer(place, data, port);

  const supervise = async (): Promise<void> => {
    for (;;) {
      await running.ended;
      if (stopping) return;
      options.log.warn('PostgreSQL has ended, starting it again');
      for (let pause = 250; ; pause = Math.min(pause * 2, 15_000)) {
        await delay(pause);
        if (stopping) return;
        try {
          await endLeftover(data);
          running = await startServer(place, data, port);
          break;
        } catch (error) {
          options.log.error({ err: error }, 'PostgreSQL could not be started, trying again');
        }
      }
      if (stopping) await running.stop();
    }
  };
  const supervised = supervise();

  return {
    url: `postgres://${SUPERUSER}:${options.password.reveal()}@127.0.0.1:${port}/postgres`,
    [Symbol.asyncDispose]: async () => {
      stopping = true;
      await running.stop();
      await supervised;
    },
  };
}

type Server = { readonly ended: Promise<void>; stop(): Promise<void> };

async function startServer({ binaries, home, user }: Place, data: string, port: number): Promise<Server> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '40',
    shared_buffers: '32MB',
    log_min_messages: 'log',
  };
  const args = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const child = spawn(binaries.postgres, args, {
    cwd: home,
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
    // Outside our process group: Ctrl-C in a terminal must not stop it before we have finished with it.
    detached: true,
    ...user,
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  try {
    await readyLine(child);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const guard = child.pid === undefined ? undefined : guardProcess(child.pid);
  void ended.then(() => guard?.release());
  return {
    ended,
    stop: async () => {
      // "Fast" shutdown: connections are ended, everything is written out.
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_PATIENCE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function readyLine(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const said: string[] = [];
  const fail = (what: string): void => reject(new Error(`PostgreSQL ${what}: ${said.slice(-5).join(' / ')}`));
  const timer = setTimeout(() => fail('did not become ready'), START_PATIENCE_MS);
  child.once('error', (error) => fail(`cannot be run (${error.message})`));
  child.once('exit', (code, signal) => fail(`ended while starting (${signal ?? code})`));
  if (child.stderr !== null) {
    // Read to the end of its life: a full pipe would stop it.
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (READY.test(line)) resolve();
      said.push(line);
      if (said.length > 20) said.shift();
    });
  }
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}
