import { z } from 'zod';
import { parseJsonAs } from '#crds/json-text.ts';
import { PATIENCE_MS } from '../bus/bus.ts';
import { MAX_PUBLIC_KEYS, type PublicKeys, type RegisteredKey } from '../encryption/public-keys.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';

export type RedisPublicKeysOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  readonly now: Monotonic;
  readonly max?: number;
};

/** KEYS[1] hash participant → key · ARGV[1] participant, ARGV[2] key, ARGV[3] most keys. Answers 0 when there is no room. */
const PUT = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`;

const stored = z.object({ publicKey: z.string(), registeredAt: z.int() });

export class RedisPublicKeys implements PublicKeys {
  readonly #keys: AppKeys;
  readonly #max: number;
  readonly #patience: Patience;

  constructor({ client, keys, now, max = MAX_PUBLIC_KEYS }: RedisPublicKeysOptions) {
    this.#keys = keys;
    this.#max = max;
    this.#patience = new Patience(client, PATIENCE_MS, now);
  }

  async put(appId: string, { participant, ...key }: RegisteredKey): Promise<'stored' | 'full' | 'away'> {
    const answer = await this.#patience.ask((client) =>
      client.call('EVAL', PUT, 1, keyOfApp(this.#keys, appId), participant, JSON.stringify(key), this.#max),
    );
    if (answer === undefined) return 'away';
    return answer === 1 ? 'stored' : 'full';
  }

  async get(appId: string, participant: string): Promise<RegisteredKey | undefined | 'away'> {
    const answer = await this.#patience.ask((client) => client.hget(keyOfApp(this.#keys, appId), participant));
    if (answer === undefined) return 'away';
    return answer === null ? undefined : keyOf(participant, answer);
  }

  async list(appId: string): Promise<readonly RegisteredKey[] | 'away'> {
    const answer = await this.#patience.ask((client) => client.hgetall(keyOfApp(this.#keys, appId)));
    if (answer === undefined) return 'away';
    return Object.entries(answer)
      .flatMap(([participant, text]) => keyOf(participant, text) ?? [])
      .sort((a, b) => (a.participant < b.participant ? -1 : 1));
  }

  async remove(appId: string, participant: string): Promise<'removed' | 'unknown' | 'away'> {
    const answer = await this.#patience.ask((client) => client.hdel(keyOfApp(this.#keys, appId), participant));
    if (answer === undefined) return 'away';
    return answer === 0 ? 'unknown' : 'removed';
  }
}

/** undefined: not written by a relay of this version. */
function keyOf(participant: string, text: string): RegisteredKey | undefined {
  const data = parseJsonAs(stored, text);
  return data === undefined ? undefined : { participant, ...data };
}

const keyOfApp = (keys: AppKeys, appId: string): string => `${keys.slot(appId)}:public-keys`;
