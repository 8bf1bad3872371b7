import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { untilListening } from './listening.ts';
import { systemCommand } from './package-manager.ts';
import { startProcess } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** Starts a real HAProxy in the foreground. @param sections frontends and backends, for HTTP · @param port of 127.0.0.1, that it listens on by then */
export async function startHaproxy(sections: string, port: number): Promise<AsyncDisposable> {
  const command = await systemCommand('haproxy');
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory('haproxy'));
  const file = join(path, 'haproxy.cfg');
  await writeFile(file, `${DEFAULTS}${sections}\n`);
  await untilListening(stack.use(await startProcess({ command, args: ['-db', '-f', file] })), port);
  return stack.move();
}

const DEFAULTS = `defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
`;
