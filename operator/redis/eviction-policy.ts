import { Cluster } from 'ioredis';
import type { RedisConnection } from './connection.ts';

/** Redis may throw away parts of the directory when memory is short. */
export class EvictionPolicyError extends Error {
  readonly code = 'eviction_policy';
  constructor(policy: string) {
    super(
      `Redis has maxmemory-policy ${policy}, which deletes any key when memory is short, the directory included: ` +
        'set maxmemory-policy noeviction (or volatile-lru) and start again',
    );
    this.name = 'EvictionPolicyError';
  }
}

/** Throws {@link EvictionPolicyError} when a node evicts keys that have no expiry. Needs `INFO memory`. */
export async function refuseEviction(redis: RedisConnection): Promise<void> {
  const infos =
    redis instanceof Cluster ? redis.nodes('master').map((node) => node.info('memory')) : [redis.info('memory')];
  for (const info of await Promise.all(infos)) {
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy?.startsWith('allkeys-') === true) throw new EvictionPolicyError(policy);
  }
}
