import { createHash } from 'node:crypto';
import { head as headSchema } from '#crds/directory/checkpoint.ts';
import type { DirectoryKeys } from '#crds/directory/redis-keys.ts';
import { trustEntry } from '#crds/directory/entry.ts';
import { parseAnnouncement, parseReport } from '#crds/directory/report.ts';
import type { Announcement, ReplicaReport } from '#crds/directory/report.ts';
import type { DirectoryStore } from '../directory/directory-store.ts';
import type { OutboxRow } from '../directory/registry-log.ts';
import type { RedisConnection } from './connection.ts';
import { BEAT, DISCARD, FLIP, FORGET, PUBLISH } from './directory-scripts.ts';

export type DirectoryStoreOptions = {
  readonly redis: RedisConnection;
  /** A connection of its own: one that subscribes cannot send. */
  readonly subscriber: RedisConnection;
  readonly keys: DirectoryKeys;
  /** How many revisions the log keeps, about. A relay that is further behind loads the snapshot. Default 10 000. */
  readonly logLength?: number;
};

/** The directory in Redis, as the publisher writes it. */
export function createDirectoryStore({
  redis,
  subscriber,
  keys,
  logLength = 10_000,
}: DirectoryStoreOptions): DirectoryStore {
  const run = (script: string, names: readonly string[], args: readonly (string | number)[]): Promise<unknown> =>
    evaluate(redis, script, names, args);
  const names = (epoch: number): string[] => [keys.head, keys.snapshot(epoch), keys.log(epoch)];

  return {
    head: async () => headSchema.safeParse(await redis.hgetall(keys.head)).data,
    publish: async (rows) => {
      // Sent at once; Redis runs them in order, and after one that is refused all others find head elsewhere too.
      const results = await Promise.allSettled(
        rows.map((row) => run(PUBLISH, names(row.entry.epoch), publishArguments(row, logLength))),
      );
      const written = results.findIndex((result) => result.status === 'rejected' || result.value !== 1);
      const stopped = results[written];
      if (stopped?.status === 'rejected') throw stopped.reason;
      return written === -1 ? rows.length : written;
    },
    beat: async ({ epoch, revision, digest, count }) =>
      (await run(BEAT, [keys.head, keys.snapshot(epoch)], [epoch, revision, digest, count])) === 1,
    fill: async (epoch, entries) => {
      if (entries.length > 0)
        await redis.hset(keys.snapshot(epoch), ...entries.flatMap(({ key, text }) => [key, text]));
    },
    flip: async ({ epoch, revision, count, digest, keyId, mac }) =>
      (await run(FLIP, names(epoch), [epoch, revision, count, digest, keyId, mac])) === 1,
    discard: async (epoch) => {
      await run(DISCARD, names(epoch), [epoch]);
    },
    reports: async () => {
      const reports = new Map<string, ReplicaReport>();
      for (const [id, text] of Object.entries(await redis.hgetall(keys.replicas))) {
        const report = parseReport(text);
        if (report !== undefined) reports.set(id, report);
      }
      return reports;
    },
    forget: async (id, nonce) => {
      await run(FORGET, [keys.replicas, keys.admit], [id, nonce]);
    },
    admit: async (id, admission) => {
      await redis.hset(keys.admit, id, JSON.stringify(admission));
    },
    onReport: (listener) => listen(subscriber, keys.notify, listener),
  };
}

function publishArguments({ entry, text }: OutboxRow, logLength: number): (string | number)[] {
  const changes = entry.changes.flatMap((change) => {
    const payload = trustEntry(change);
    if (payload === undefined) throw new Error('an entry in the outbox cannot be read');
    return [payload.key, payload.body === null ? '' : change];
  });
  const { epoch, previous, revision, count, digest, keyId, mac } = entry;
  return [epoch, previous, revision, count, digest, keyId, mac, text, logLength, ...changes];
}

async function evaluate(
  redis: RedisConnection,
  script: string,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const sha = createHash('sha1').update(script).digest('hex');
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    // Redis restarted, failed over, or has not seen it yet.
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(script, keys.length, ...keys, ...args);
  }
}

function listen(
  subscriber: RedisConnection,
  channel: string,
  listener: (announcement: Announcement) => void,
): () => void {
  const onMessage = (_channel: string, text: string): void => {
    const announcement = parseAnnouncement(text);
    if (announcement !== undefined) listener(announcement);
  };
  const subscribe = (): void => {
    // A failure shows as an error of the connection; it is tried again when that is ready, and the beat reads all reports anyway.
    subscriber.subscribe(channel).catch(() => {});
  };
  subscriber.on('message', onMessage);
  subscriber.on('ready', subscribe);
  if (subscriber.status === 'ready') subscribe();
  return () => {
    subscriber.off('message', onMessage);
    subscriber.off('ready', subscribe);
    // Nobody listens any more; the subscription ends with the connection at the latest.
    subscriber.unsubscribe(channel).catch(() => {});
  };
}
