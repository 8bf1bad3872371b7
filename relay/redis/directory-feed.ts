import { createHash } from 'node:crypto';
import { parseAdmission } from '#crds/directory/admission.ts';
import { head as headSchema, parseLogEntry } from '#crds/directory/checkpoint.ts';
import type { LogEntry } from '#crds/directory/checkpoint.ts';
import type { DirectoryKeys } from '#crds/directory/redis-keys.ts';
import type { DirectoryFeed } from '../directory/feed.ts';
import type { RedisConnection } from './connection.ts';

export type DirectoryFeedOptions = {
  readonly redis: RedisConnection;
  /** A connection of its own: it waits for the log most of the time. Its command timeout must be longer than the follower's wait. */
  readonly blocking: RedisConnection;
  readonly keys: DirectoryKeys;
};

const PAGE = 1_000;
const FOLLOW_LIMIT = 500;

/** KEYS replicas. ARGV id, report, channel, announcement. One step, so that what is announced is also there to be read. */
const REPORT = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
`;
const REPORT_SHA = createHash('sha1').update(REPORT).digest('hex');

/** The directory in Redis, as a relay reads it. */
export function createDirectoryFeed({ redis, blocking, keys }: DirectoryFeedOptions): DirectoryFeed {
  return {
    head: async () => headSchema.safeParse(await redis.hgetall(keys.head)).data,
    snapshot: async function* (epoch) {
      let cursor = '0';
      do {
        const [next, flat] = await redis.hscan(keys.snapshot(epoch), cursor, 'COUNT', PAGE);
        const page: [string, string][] = [];
        for (let index = 0; index + 1 < flat.length; index += 2) page.push([flat[index] ?? '', flat[index + 1] ?? '']);
        yield page;
        cursor = next;
      } while (cursor !== '0');
    },
    log: async (epoch, revision, limit) =>
      parseStream(await redis.xrange(keys.log(epoch), `(${revision}-0`, '+', 'COUNT', limit)),
    follow: async (epoch, revision, waitMs, signal) => {
      if (signal.aborted) return [];
      const log = keys.log(epoch);
      const streams = await blocking.xread('COUNT', FOLLOW_LIMIT, 'BLOCK', waitMs, 'STREAMS', log, `${revision}-0`);
      return parseStream(streams?.[0]?.[1] ?? []);
    },
    report: async (id, report) => {
      const args = [id, JSON.stringify(report), keys.notify, JSON.stringify({ id, report })];
      try {
        await redis.evalsha(REPORT_SHA, 1, keys.replicas, ...args);
      } catch (error) {
        // Redis restarted, failed over, or has not seen it yet.
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        await redis.eval(REPORT, 1, keys.replicas, ...args);
      }
    },
    admission: async (id) => {
      const text = await redis.hget(keys.admit, id);
      return text === null ? undefined : parseAdmission(text);
    },
  };
}

function parseStream(items: readonly (readonly [id: string, fields: readonly string[]])[]): LogEntry[] | undefined {
  const entries: LogEntry[] = [];
  for (const [id, fields] of items) {
    const entry = parseLogEntry(fields[fields.indexOf('entry') + 1] ?? '');
    if (entry === undefined || id !== `${entry.revision}-0`) return undefined;
    entries.push(entry);
  }
  return entries;
}
