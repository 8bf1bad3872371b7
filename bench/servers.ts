import { fileURLToPath } from 'node:url';
import type { Command } from '#test/parts/process.ts';
import { nativeProgram } from './native.ts';

/** `cores`: what the server may run on, for taskset; by default one that it has for itself. */
export type Server = Command & { readonly cores?: string };

/** What can be measured. Each prints `listening PORT [PIDS]` once it serves app 101 with key `appkey` and secret `appsecret`. */
export const servers = {
  'c-per-event': async () => ({ command: await nativeProgram('reference'), args: ['--per', 'event'] }),
  'c-per-wakeup': async () => ({ command: await nativeProgram('reference'), args: ['--per', 'wakeup'] }),
  'node-ws-send': () => node('servers/web-socket-broadcast.ts'),
  'node-http-hmac': () => node('servers/signed-http.ts'),
  relay: () => node('servers/relay.ts'),
  // All cores, because several processes on one core would say nothing; the generator then shares its core with them.
  'relay-1-worker': () => ({ ...node('servers/relay-workers.ts', '1'), cores: '0,1' }),
  'relay-2-workers': () => ({ ...node('servers/relay-workers.ts', '2'), cores: '0,1' }),
} satisfies Readonly<Record<string, () => Server | Promise<Server>>>;

export type ServerName = keyof typeof servers;

function node(file: string, ...args: string[]): Command {
  return { command: process.execPath, args: [fileURLToPath(new URL(file, import.meta.url)), ...args] };
}
