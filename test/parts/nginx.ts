import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCommand } from './package-manager.ts';
import { untilListening } from './listening.ts';
import { startProcess, type RunningProcess } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** An nginx in the foreground, in one process, with nothing of the machine's own configuration. */
export type Nginx = AsyncDisposable & { readonly process: RunningProcess };

/** Starts a real nginx. @param http what stands in `http { … }` · @param port of 127.0.0.1, that it listens on by then */
export async function startNginx(http: string, port: number): Promise<Nginx> {
  const command = await systemCommand('nginx');
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory('nginx'));
  const file = join(path, 'nginx.conf');
  await writeFile(file, configuration(path, http));
  const process = stack.use(await startProcess({ command, args: ['-p', path, '-e', 'stderr', '-c', file] }));
  await untilListening(process, port);
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
