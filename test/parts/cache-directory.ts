import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where tests keep what is slow to obtain, per user: $XDG_CACHE_HOME/relay-operator or ~/.cache/relay-operator. */
export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'relay-operator');
}
