import { createHash } from 'node:crypto';
import type { RedisClient } from './patience.ts';

/** A Lua script, sent by its SHA-1; in full only to a server that does not have it yet. */
export type Script = { readonly text: string; readonly sha1: string };

export function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

export async function runScript(
  client: RedisClient,
  { text, sha1 }: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.call('EVALSHA', sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.call('EVAL', text, keys.length, ...keys, ...args);
  }
}
