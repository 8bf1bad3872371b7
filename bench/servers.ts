import { fileURLToPath } from 'node:url';
import type { Command } from '#test/parts/process.ts';
import { nativeProgram } from './native.ts';

/** What can be measured. Each prints `listening PORT` once it serves app 101 with key `appkey` and secret `appsecret`. */
export const servers = {
  'c-per-event': async () => ({ command: await nativeProgram('reference'), args: ['--per', 'event'] }),
  'c-per-wakeup': async () => ({ command: await nativeProgram('reference'), args: ['--per', 'wakeup'] }),
  'node-ws-send': () => node('servers/web-socket-broadcast.ts'),
  'node-http-hmac': () => node('servers/signed-http.ts'),
  relay: () => node('servers/relay.ts'),
} satisfies Readonly<Record<string, () => Command | Promise<Command>>>;

export type ServerName = keyof typeof servers;

function node(file: string): Command {
  return { command: process.execPath, args: [fileURLToPath(new URL(file, import.meta.url))] };
}
