import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from '#standalone/folder/env-text.ts';
import type { RefusalCode } from '#relay/gate/refusals.ts';
import type { SimulatedRelay } from './simulated-relay.ts';

export type Verdict = { readonly refusal: RefusalCode | undefined; readonly credential: string };

/** How one kind of Secret is used: which values matter, and a request with them. */
export type Protocol = {
  readonly call: (relay: SimulatedRelay, values: Readonly<Record<string, string>>) => Verdict;
  /** What makes two contents of the Secret different credentials. */
  readonly identity: (values: Readonly<Record<string, string>>) => string;
};

export const bearer: Protocol = {
  identity: ({ RELAY_TOKEN = '' }) => RELAY_TOKEN,
  call: (relay, { RELAY_TOKEN: token = '', RELAY_APP_ID: appId = '' }) => relay.bearer({ appId, token }),
};

export const keyAndSecret: Protocol = {
  identity: ({ PUSHER_APP_KEY = '', PUSHER_APP_SECRET = '' }) => `${PUSHER_APP_KEY} ${PUSHER_APP_SECRET}`,
  call: (relay, { PUSHER_APP_ID: appId = '', PUSHER_APP_KEY: key = '', PUSHER_APP_SECRET: secret = '' }) =>
    relay.keyAndSecret({ appId, key, secret }),
};

/** A Secret as a pod reads it from its mount: whatever is there at the moment. undefined: nothing yet. */
export async function readSecret(
  data: string,
  namespace: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  try {
    return { ...parseEnv(await readFile(join(data, 'secrets', namespace, `${name}.env`), 'utf8')) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
