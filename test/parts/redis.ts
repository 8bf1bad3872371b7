import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { redisServerBinary } from './redis-binary.ts';
import { startRestartable } from './restartable-process.ts';
import type { RestartableProcess } from './restartable-process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export type RedisOptions = {
  /** More command line arguments, e.g. `['--maxmemory', '10mb']`. */
  readonly args?: readonly string[];
  /** Lines of an ACL file, e.g. `['user default on nopass ~* &* +@all', 'user relay on >secret ~relay:* +@all']`. */
  readonly acl?: readonly string[];
  /** `--requirepass`; also put into `url`. Not together with `acl`. */
  readonly password?: string;
  /** Default: a free one. */
  readonly port?: number;
};

/** A redis-server on 127.0.0.1. It persists nothing: a restart loses the data, unless `args` says otherwise. */
export type RedisServer = RestartableProcess & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** `redis://[:password@]127.0.0.1:port` */
  readonly url: string;
  /** Runs one command as the default user, on a connection of its own. Rejects if Redis answers with an error. */
  command(name: string, ...args: (string | number)[]): Promise<unknown>;
};

const READY = /Ready to accept connections|Running mode=sentinel|\+monitor master/;

/** Starts one server; see redis-topologies.ts for replicas, Sentinel and Cluster. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  return startRedisProcess(options, []);
}

/** As startRedis, with arguments that must come before all others (a configuration file, `--sentinel`). */
export async function startRedisProcess(
  { args = [], acl, password, port: wanted }: RedisOptions,
  leading: readonly string[],
): Promise<RedisServer> {
  const command = await redisServerBinary();
  const port = wanted ?? (await freePort());
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('redis'));
  const aclFile = join(directory.path, 'users.acl');
  if (acl !== undefined) await writeFile(aclFile, `${acl.join('\n')}\n`);

  const listen = ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory.path];
  const all = [
    ...leading,
    ...listen,
    ...(leading.includes('--sentinel') ? [] : ['--save', '', '--appendonly', 'no']),
    ...(acl === undefined ? [] : ['--aclfile', aclFile]),
    ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]),
    ...args,
  ];
  const server = stack.use(
    await startRestartable(
      { command, args: all, cwd: directory.path },
      { ready: (started) => started.waitForLine(READY), disposeSignal: 'SIGKILL' },
    ),
  );
  const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const url = `redis://${credentials}127.0.0.1:${port}`;
  const owned = stack.move();
  return {
    ...server,
    get pid() {
      return server.pid;
    },
    host: '127.0.0.1',
    port,
    url,
    command: (name, ...args) => redisCommand(url, name, ...args),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Runs one command on a connection of its own. Rejects if there is no server or it answers with an error. */
export async function redisCommand(url: string, name: string, ...args: (string | number)[]): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 5_000,
    enableReadyCheck: false,
  });
  // The promise of connect() reports it; without a listener ioredis prints it too.
  client.on('error', () => {});
  try {
    await client.connect();
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}
