import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { canInstallPackages, installPackage, isExecutable, onPath } from './package-manager.ts';
import { startProcess, type RunningProcess } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** An nginx in the foreground, in one process, with nothing of the machine's own configuration. */
export type Nginx = AsyncDisposable & { readonly process: RunningProcess };

/** Starts a real nginx. @param http what stands in `http { … }` · @param port of 127.0.0.1, that it listens on by then */
export async function startNginx(http: string, port: number): Promise<Nginx> {
  const command = await nginxBinary();
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory('nginx'));
  const file = join(path, 'nginx.conf');
  await writeFile(file, configuration(path, http));
  const process = stack.use(await startProcess({ command, args: ['-p', path, '-e', 'stderr', '-c', file] }));
  await eventually(() => !process.ended && listens(port), { describe: process.output() });
  const owned = stack.move();
  return { process, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const configuration = (path: string, http: string): string => `
daemon off;
master_process off;
pid ${path}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${path}/body;
  proxy_temp_path ${path}/proxy;
  fastcgi_temp_path ${path}/fastcgi;
  uwsgi_temp_path ${path}/uwsgi;
  scgi_temp_path ${path}/scgi;
  ${http}
}
`;

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** The one on PATH, else, as root on a system with apt, the package. Rejects with what to do if there is none. */
async function nginxBinary(): Promise<string> {
  const found = await findNginx();
  if (found !== undefined) return found;
  if (!(await canInstallPackages())) throw new Error('No nginx on PATH. Install nginx 1.18 or later and run again.');
  await installPackage('nginx', async () => (await findNginx()) !== undefined);
  const installed = await findNginx();
  if (installed === undefined) throw new Error('apt-get installed nginx, but there is none');
  return installed;
}

/** Debian puts it where only the PATH of root looks. */
async function findNginx(): Promise<string | undefined> {
  const system = '/usr/sbin/nginx';
  return (await onPath('nginx')) ?? ((await isExecutable(system)) ? system : undefined);
}
