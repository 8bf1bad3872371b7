import { randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { MemoryFacts } from '#relay/facts/memory.ts';
import { migrate, readMigrations } from '#operator/postgres/migrate.ts';
import { createPool } from '#operator/postgres/pool.ts';
import { banner } from './banner.ts';
import type { StandaloneConfig } from './config.ts';
import { createConsole, type Console } from './console.ts';
import { openDataDirectory, type DataDirectory } from './data-directory.ts';
import { displayPath } from './display-path.ts';
import { FolderLoop } from './folder/folder-loop.ts';
import { FolderWorld } from './folder/folder-world.ts';
import { ObjectStore } from './folder/object-store.ts';
import { SecretStore } from './folder/secret-store.ts';
import { openKeys } from './keys.ts';
import { MemoryDirectory } from './memory-directory.ts';
import { createOperator } from './operator.ts';
import { createPageRoutes } from './page/routes.ts';
import { startEmbeddedPostgres } from './postgres/server.ts';
import { ProblemReport } from './problem-report.ts';
import { startRelay } from './relay.ts';
import { servedApps } from './serving.ts';
import { isSettled, statusLine } from './status-line.ts';

/** Longer than everything takes; then the banner is shown with what there is. */
const SETTLE_PATIENCE_MS = 8_000;
const REACHABLE_HOST: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]', '::1': '[::1]' };

/** Runs until the signal aborts and everything has ended. Returns the exit code; whatever goes wrong is said in one line. */
export async function run(config: StandaloneConfig, signal: AbortSignal): Promise<number> {
  const output = createConsole(config);
  try {
    using data = openDataDirectory(config.data);
    await serve(config, data, output, signal);
    output.say('Stopped.');
    return 0;
  } catch (error) {
    // Ctrl-C while it was still starting: whatever that has broken off is no failure.
    if (signal.aborted) return 0;
    output.warn(failure(error, config));
    output.log.debug({ err: error }, 'the standalone process has failed');
    return 1;
  }
}

async function serve(config: StandaloneConfig, data: DataDirectory, output: Console, stop: AbortSignal): Promise<void> {
  const cwd = process.cwd();
  const display = (path: string): string => displayPath(path, cwd);
  const { log } = output;
  const keys = openKeys(data.keys);
  output.say('Starting PostgreSQL and the relay …');
  await using stack = new AsyncDisposableStack();

  const postgres = stack.use(
    await startEmbeddedPostgres({ home: data.postgres, password: keys.databasePassword, log }),
  );
  const pool = createPool({
    url: postgres.url,
    onConnectionLost: (error) => log.info({ err: error }, 'a connection to PostgreSQL was lost'),
  });
  stack.defer(() => pool.end());
  await migrate(pool, await readMigrations());
  stop.throwIfAborted();

  const folder = realpathSync(config.folder);
  const link = new MemoryDirectory();
  const facts = new MemoryFacts();
  const world = createWorld(folder, data, output);
  world.load((path, why) => output.warn(`${display(path)}: is damaged and starts anew: ${why}`));

  // Ends in this order: clients are sent away, then nothing is reconciled any more, then the directory is given up.
  const following = new AbortController();
  const reconciling = new AbortController();
  const publishing = new AbortController();
  let url = '';
  const served = (): ReturnType<typeof servedApps> => servedApps(world.objects(), { url, secrets: data.secrets, cwd });
  const { relay, follower, followed } = await startRelay(
    {
      keys,
      feed: link.feed,
      facts,
      host: config.host,
      port: config.port,
      routes: await createPageRoutes(served),
      log,
    },
    following.signal,
  );
  url = `http://${REACHABLE_HOST[config.host] ?? config.host}:${relay.port}`;
  const operator = createOperator({ pool, keys, store: link.store, facts, world, url, log });
  const problems = new ProblemReport(output.warn, display);
  const loop = new FolderLoop({
    folder,
    except: data.path,
    secrets: data.secrets,
    world,
    onProblems: (found) => problems.update(found),
    onDeleted: (what) => output.say(`${what}: deleted`),
    now: () => performance.now(),
  });

  const running = [operator.publish(publishing.signal), operator.reconcile(reconciling.signal), followed];
  // Awaited below; until then a failure must not count as unhandled.
  for (const promise of running) promise.catch(() => {});
  try {
    await loop.look();
    running.push(loop.run(reconciling.signal));
    await settled(() => relay.ready() && world.objects().every(isSettled), stop);
    if (!stop.aborted) {
      output.say(
        banner({
          url,
          folder: display(folder),
          status: display(data.status),
          secrets: display(data.secrets),
          apps: served(),
          declaredElsewhere: world.declaredElsewhere(),
        }),
      );
    }
    // Each of them runs until it is told to stop; one that ends before that has failed.
    await Promise.race([aborted(stop), Promise.all(running)]);
    output.say('Stopping …');
    await relay.drain();
    await follower.bye();
  } finally {
    await relay[Symbol.asyncDispose]();
    reconciling.abort();
    following.abort();
    publishing.abort();
    await Promise.allSettled(running);
  }
}

function createWorld(folder: string, data: DataDirectory, { say, warn }: Console): FolderWorld {
  return new FolderWorld({
    folder,
    stores: {
      apps: new ObjectStore(join(data.status, 'RelayApp'), (object): object is RelayApp => object.kind === 'RelayApp'),
      tokens: new ObjectStore(
        join(data.status, 'RelayToken'),
        (object): object is RelayToken => object.kind === 'RelayToken',
      ),
      certificates: new ObjectStore(
        join(data.status, 'ClientCertificate'),
        (object): object is ClientCertificate => object.kind === 'ClientCertificate',
      ),
    },
    secrets: new SecretStore(data.secrets),
    recorder: {
      event: ({ kind, metadata }, type, reason, message) => {
        const line = `${kind} ${metadata.namespace}/${metadata.name}: ${reason}: ${message}`;
        if (type === 'Warning') warn(line);
        else say(line);
      },
    },
    now: () => new Date(),
    newUid: randomUUID,
    onStatus: (object, former) => {
      const line = statusLine(object);
      const sameVersion = object.status?.observedGeneration === former.status?.observedGeneration;
      if (isSettled(object) && (line !== statusLine(former) || !sameVersion)) say(line);
    },
  });
}

async function settled(done: () => boolean, stop: AbortSignal): Promise<void> {
  const deadline = performance.now() + SETTLE_PATIENCE_MS;
  while (!done() && !stop.aborted && performance.now() < deadline) await delay(50);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
}

function failure(error: unknown, { host, port }: StandaloneConfig): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return `port ${port} is taken by another program: choose another one with --port`;
  if (code === 'EACCES' && port < 1024)
    return `port ${port} is not for ordinary users: choose one above 1023 with --port`;
  if (code === 'EADDRNOTAVAIL') return `this machine has no address ${host}: choose another one with --host`;
  return error instanceof Error ? error.message : String(error);
}
