import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { z } from 'zod';
import { parseEnv } from '#standalone/folder/env-text.ts';
import { runProcess, startProcess, type RunningProcess } from '#test/parts/process.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

export const APP = `# A comment, so that lines count.
apiVersion: relay-operator.dev/v1alpha1
kind: RelayApp
metadata:
  name: demo
spec:
  limits:
    connections: 100
`;

export const TOKEN = `apiVersion: relay-operator.dev/v1alpha1
kind: RelayToken
metadata:
  name: demo-publisher
spec:
  appRef:
    name: demo
`;

/** A folder of manifests with a data directory, and the process that serves it; started and stopped as often as a test likes. */
export type Standalone = AsyncDisposable & {
  readonly folder: string;
  readonly data: string;
  start(): Promise<Run>;
  write(file: string, text: string): Promise<void>;
  secret(name: string): Promise<Record<string, string>>;
  status(kind: 'RelayApp' | 'RelayToken', name: string): Promise<Status>;
  /** The process id of PostgreSQL's postmaster. */
  postgresPid(): Promise<number>;
  postgresPort(): Promise<number>;
};

export type Run = { readonly process: RunningProcess; readonly url: string; readonly port: number };

const MAIN = join(import.meta.dirname, '../../../standalone/main.ts');

export async function createStandalone(): Promise<Standalone> {
  await using stack = new AsyncDisposableStack();
  const root = stack.use(await temporaryDirectory('standalone'));
  // So that the user that PostgreSQL is lent when tests run as root may pass.
  await chmod(root.path, 0o755);
  const folder = join(root.path, 'manifests');
  const data = join(root.path, 'data');
  await mkdir(folder);
  await writeFile(join(folder, 'app.yaml'), APP);
  await writeFile(join(folder, 'token.yaml'), TOKEN);
  const owned = stack.move();
  return {
    folder,
    data,
    start: async () => {
      const started = await spawnStandalone([folder, '--port', '0', '--data', data]);
      owned.use(started);
      const line = await started.waitForLine(/^The relay is at /);
      await started.waitForLine(/^Ctrl-C/);
      const url = /http:\S+/.exec(line)?.[0] ?? '';
      return { process: started, url, port: Number(new URL(url).port) };
    },
    write: (file, text) => writeFile(join(folder, file), text),
    secret: async (name) => parseEnv(await readFile(join(data, 'secrets/default', `${name}.env`), 'utf8')),
    status: async (kind, name) =>
      readStatus(await readFile(join(data, 'status', kind, 'default', `${name}.yaml`), 'utf8')),
    postgresPid: async () => Number((await postmasterFile(data))[0]),
    postgresPort: async () => Number((await postmasterFile(data))[3]),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The lines of postmaster.pid: https://www.postgresql.org/docs/current/storage-file-layout.html */
async function postmasterFile(data: string): Promise<string[]> {
  return (await readFile(join(data, 'postgres/data/postmaster.pid'), 'utf8')).split('\n');
}

/** The real program with these arguments. */
export function spawnStandalone(args: readonly string[]): Promise<RunningProcess> {
  return startProcess({ command: process.execPath, args: [MAIN, ...args], env: { LOG_LEVEL: undefined } });
}

const status = z.object({
  metadata: z.looseObject({ generation: z.number(), uid: z.string() }),
  status: z.looseObject({
    observedGeneration: z.number(),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), observedGeneration: z.number() })),
  }),
});
export type Status = z.infer<typeof status>;

function readStatus(text: string): Status {
  return status.parse(load(text));
}

/** True while the process runs; one that has ended and that nobody waited for yet (state Z) does not. */
export async function isRunning(pid: number): Promise<boolean> {
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: Z');
    return !/^State:\s*[ZX]/m.test(status);
  }
  const { stdout } = await runProcess({ command: 'ps', args: ['-o', 'stat=', '-p', String(pid)] });
  return stdout.trim() !== '' && !stdout.startsWith('Z');
}

/** POST events with a bearer token; resolves to the HTTP status. */
export async function publish(url: string, credentials: Record<string, string>, data = 'hello'): Promise<number> {
  const response = await fetch(`${url}/apps/${credentials['RELAY_APP_ID']}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credentials['RELAY_TOKEN']}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'my-event', channel: 'my-channel', data }),
  });
  return response.status;
}
