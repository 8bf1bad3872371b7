import { randomBytes, randomUUID } from 'node:crypto';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { tokenEntryKey } from '#crds/directory/entry-body.ts';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { directoryKeys } from '#crds/directory/redis-keys.ts';
import { Keyring } from '#crds/keyring.ts';
import { monotonicClock } from '#operator/directory/clock.ts';
import type { MonotonicClock } from '#operator/directory/clock.ts';
import { EnforcementWatch } from '#operator/directory/enforcement-watch.ts';
import { evaluateEnforced } from '#operator/directory/enforcement.ts';
import type { Enforced } from '#operator/directory/enforcement.ts';
import { Publisher } from '#operator/directory/publisher.ts';
import type { PublisherOptions } from '#operator/directory/publisher.ts';
import { createDirectoryCommit } from '#operator/postgres/directory-commit.ts';
import type { DirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import { connectRedis as connectOperatorRedis } from '#operator/redis/connection.ts';
import { createDirectoryStore } from '#operator/redis/directory-store.ts';
import { Follower } from '#relay/directory/follower.ts';
import type { FollowerOptions } from '#relay/directory/follower.ts';
import { connectRedis as connectRelayRedis } from '#relay/redis/connection.ts';
import { createDirectoryFeed } from '#relay/redis/directory-feed.ts';
import { eventually } from '#test/parts/eventually.ts';
import { disposablePool } from '#test/parts/migrated-database.ts';

/** The wiring of operator and relay for the directory alone, on real servers: what the tests of the fault table share. */
export const KEYS = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
export const keyring = Keyring.parse(KEYS);
export const keys = directoryKeys();
export const silentLog = (): Logger => pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });

export type RunningOperator = AsyncDisposable & {
  readonly publisher: Publisher;
  readonly enforcement: EnforcementWatch;
  readonly commit: DirectoryCommit;
  /** Rejects when the publisher stopped because another leads. */
  readonly stopped: Promise<void>;
  /** One transaction with these changes; returns its revision. */
  publish(...changes: EntryChange[]): Promise<number>;
  enforced(revision: number, ...entryKeys: string[]): Enforced;
  /** Waits until `Enforced` of this revision is True. */
  enforcedByAll(revision: number, timeout?: number): Promise<void>;
};

export async function startOperator(
  { postgresUrl, redisUrl }: { readonly postgresUrl: string; readonly redisUrl: string },
  options: Partial<PublisherOptions> = {},
): Promise<RunningOperator> {
  const log = silentLog().child({ operator: randomUUID().slice(0, 4) });
  const { pool } = disposablePool(postgresUrl);
  const redis = connectOperatorRedis({ url: redisUrl, log, name: 'directory' });
  const subscriber = connectOperatorRedis({ url: redisUrl, log, name: 'reports' });
  const clock: MonotonicClock = options.clock ?? monotonicClock;
  const enforcement = new EnforcementWatch(clock);
  const ring = options.keyring ?? keyring;
  const publisher = new Publisher({
    keyring: ring,
    registry: createRegistryLog({ pool, keyring: ring, random: randomBytes }),
    store: createDirectoryStore({ redis, subscriber, keys }),
    clock,
    enforcement,
    log,
    reportWaitMs: 2_500,
    ...options,
  });
  const commit = createDirectoryCommit({
    pool,
    keyring: ring,
    term: () => publisher.term(),
    onCommitted: () => publisher.wake(),
  });
  const stop = new AbortController();
  const stopped = publisher.run(stop.signal);
  // The test may not be looking.
  stopped.catch(() => {});
  const enforced: RunningOperator['enforced'] = (revision, ...entryKeys) =>
    evaluateEnforced({ view: enforcement.view(), revision, entryKeys, since: 10_000, latched: false });
  return {
    publisher,
    enforcement,
    commit,
    stopped,
    enforced,
    publish: async (...changes) => {
      await eventually(() => publisher.term() !== undefined, { describe: 'the operator leads' });
      const { revision } = await commit.commit(async () => ({ result: undefined, changes, audit: [] }));
      return revision ?? 0;
    },
    enforcedByAll: async (revision, timeout = 20_000) => {
      await eventually(() => enforced(revision).status === 'True', {
        timeout,
        describe: `revision ${revision} is enforced`,
      }).catch((error: unknown) => {
        throw new Error(`${JSON.stringify(enforced(revision))} ${JSON.stringify(enforcement.view())}`, {
          cause: error,
        });
      });
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await stopped.catch(() => {});
      redis.disconnect();
      subscriber.disconnect();
      await pool.end();
    },
  };
}

export type RunningRelay = AsyncDisposable & {
  readonly follower: Follower;
  /** As `kill -9` would: no bye. */
  crash(): Promise<void>;
};

export async function startRelay(
  redisUrl: string,
  id: string,
  options: Partial<FollowerOptions> = {},
): Promise<RunningRelay> {
  const log = silentLog().child({ relay: id });
  const redis = connectRelayRedis({ url: redisUrl, log, name: 'directory' });
  const blocking = connectRelayRedis({ url: redisUrl, log, name: 'log', commandTimeoutMs: 5_000 });
  const follower = new Follower({
    keyring,
    feed: createDirectoryFeed({ redis, blocking, keys }),
    clock: monotonicClock,
    log,
    id,
    podUid: null,
    nextNonce: () => randomUUID(),
    ...options,
  });
  const stop = new AbortController();
  const stopped = follower.run(stop.signal);
  const crash = async (): Promise<void> => {
    stop.abort();
    redis.disconnect();
    blocking.disconnect();
    await stopped;
  };
  return {
    follower,
    crash,
    [Symbol.asyncDispose]: async () => {
      if (!stop.signal.aborted) await follower.bye();
      await crash();
    },
  };
}

/** A token entry under a made-up hash. */
export const tokenHash = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64);
export const tokenKey = (name: string): `token/${string}` => tokenEntryKey(tokenHash(name));

export function tokenChange(name: string, id = name): EntryChange {
  const body = { id, appId: '1', namespace: 'shop', name, environment: 'Live' as const, expiresAt: null };
  return { key: tokenKey(name), body };
}

export const revokeChange = (name: string): EntryChange => ({ key: tokenKey(name), body: null });
