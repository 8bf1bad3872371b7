import { z } from 'zod';
import type { FactKeys } from '#crds/facts/redis-keys.ts';
import type { FactStream } from '../facts/fact-stream.ts';
import type { RedisConnection } from './connection.ts';

const entries = z.array(z.tuple([z.string(), z.array(z.string())]));

/** Redis ≥ 7. What is no report of ours is handed out as an empty text, to be refused and dropped like any other. */
export function createFactStream(redis: RedisConnection, keys: FactKeys): FactStream {
  return {
    read: async (limit) => {
      const found = entries.parse(await redis.xrange(keys.reports, '-', '+', 'COUNT', limit));
      return found.map(([id, [field, text]]) => ({ id, text: field === 'report' ? (text ?? '') : '' }));
    },
    drop: async (ids) => {
      if (ids.length > 0) await redis.xdel(keys.reports, ...ids);
    },
  };
}
