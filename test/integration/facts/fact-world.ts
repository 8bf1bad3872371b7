import type pg from 'pg';
import { Registry } from 'prom-client';
import { factKeys } from '#crds/facts/redis-keys.ts';
import { signReport } from '#crds/facts/report.ts';
import { FactReader } from '#operator/facts/fact-reader.ts';
import type { FactStore } from '#operator/facts/fact-store.ts';
import type { FactStream } from '#operator/facts/fact-stream.ts';
import { createFactReaderMetrics } from '#operator/facts/metrics.ts';
import { monotonicClock } from '#operator/directory/clock.ts';
import { createCredentialUses, writeCredentialUses } from '#operator/postgres/credential-use.ts';
import { createFactStore } from '#operator/postgres/fact-store.ts';
import { connectRedis as connectOperatorRedis } from '#operator/redis/connection.ts';
import { createFactStream } from '#operator/redis/fact-stream.ts';
import type { CredentialUse, CredentialUses } from '#operator/registry/credential-use.ts';
import { UseTally } from '#relay/credential-use/use-tally.ts';
import { FactReporter, keepTelling } from '#relay/facts/fact-reporter.ts';
import { factMetrics } from '#relay/facts/metrics.ts';
import { connectRedis as connectRelayRedis } from '#relay/redis/connection.ts';
import { RedisFactSink } from '#relay/redis/fact-sink.ts';
import { eventually } from '#test/parts/eventually.ts';
import { disposablePool } from '#test/parts/migrated-database.ts';
import { keyring, silentLog, startOperator, startRelay, type RunningOperator } from '../directory/installation.ts';

/** The wiring for facts alone, on real servers: directory, reporter and reader, without a relay's ports. */
export type FactOperator = AsyncDisposable & {
  readonly directory: RunningOperator;
  readonly uses: CredentialUses;
  /** Transactions that the reader has begun. */
  readonly commits: () => number;
  readonly metrics: () => Promise<string>;
  /** Of one app, when it is what the test waits for. */
  becomes(appId: string, expected: Record<string, Partial<CredentialUse>>): Promise<void>;
  /** As `kill -9`: nothing is read any more. */
  stop(): Promise<void>;
};

export type Faults = {
  /** Wraps what the reader works with, to break it. */
  readonly store?: (store: FactStore) => FactStore;
  readonly stream?: (stream: FactStream) => FactStream;
};

type Urls = { readonly postgresUrl: string; readonly redisUrl: string };

export async function startFactOperator(urls: Urls, faults: Faults = {}): Promise<FactOperator> {
  const directory = await startOperator(urls);
  const reading = startReader(directory, urls, faults);
  return {
    ...reading,
    directory,
    [Symbol.asyncDispose]: async () => {
      await reading.stop();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Beside an operator that keeps the directory. */
export function startReader(
  directory: RunningOperator,
  { postgresUrl, redisUrl }: Urls,
  { store = (it) => it, stream = (it) => it }: Faults = {},
): Pick<FactOperator, 'uses' | 'commits' | 'metrics' | 'becomes' | 'stop'> {
  const { pool } = disposablePool(postgresUrl);
  const log = silentLog();
  const redis = connectOperatorRedis({ url: redisUrl, log, name: 'facts' });
  const registry = new Registry();
  const kept = createFactStore({ pool, commit: directory.commit, writers: [writeCredentialUses] });
  let commits = 0;
  const reader: FactReader = new FactReader({
    keyring,
    stream: stream(createFactStream(redis, factKeys())),
    store: store({
      load: kept.load,
      commit: (change) => {
        commits += 1;
        return kept.commit(change);
      },
    }),
    term: () => directory.publisher.term(),
    view: () => directory.enforcement.view(),
    clock: monotonicClock,
    now: Date.now,
    log,
    metrics: createFactReaderMetrics(registry, () => reader.lagSeconds()),
    everyMs: 50,
  });
  const stop = new AbortController();
  const running = reader.run(stop.signal);
  const uses = createCredentialUses({ pool, knownUntil: () => reader.knownUntil() });
  return {
    uses,
    commits: () => commits,
    metrics: () => registry.metrics(),
    becomes: async (appId, expected) => {
      await eventually(
        async () => {
          const found = Object.fromEntries(await uses.of(appId));
          for (const [id, use] of Object.entries(expected)) {
            for (const [field, value] of Object.entries(use)) {
              const actual = found[id]?.[field as keyof CredentialUse];
              if (actual !== value) throw new Error(`${id}.${field} is ${String(actual)}, not ${String(value)}`);
            }
          }
          return true;
        },
        { timeout: 20_000 },
      );
    },
    stop: async () => {
      if (stop.signal.aborted) return;
      stop.abort();
      await running;
      redis.disconnect();
      await pool.end();
    },
  };
}

export type FactRelay = AsyncDisposable & {
  readonly tally: UseTally;
  readonly reporter: FactReporter;
  /** As `kill -9`: no last report and no bye. */
  crash(): Promise<void>;
};

/** A member of the directory that tells when the test says so, and every 50 ms unless `byHand`. */
export async function startFactRelay(
  redisUrl: string,
  replica: string,
  { boot = `${replica}-1`, byHand = false }: { readonly boot?: string; readonly byHand?: boolean } = {},
): Promise<FactRelay> {
  const directory = await startRelay(redisUrl, replica);
  const client = connectRelayRedis({ url: redisUrl, log: silentLog(), name: 'facts' });
  const tally = new UseTally(() => undefined, 100);
  const reporter = new FactReporter({
    sink: new RedisFactSink({ client, keys: factKeys(), now: () => performance.now() }),
    source: tally,
    replica,
    boot,
    sign: (report) => signReport(keyring, directory.follower.keyId(), report),
    wallClock: Date.now,
    metrics: factMetrics(new Registry()),
  });
  await eventually(() => directory.follower.ready(), { describe: `${replica} is ready`, timeout: 20_000 });
  const telling = byHand ? undefined : keepTelling(reporter, 50);
  let crashed = false;
  return {
    tally,
    reporter,
    crash: async () => {
      crashed = true;
      client.disconnect();
      await directory.crash();
    },
    [Symbol.asyncDispose]: async () => {
      await telling?.[Symbol.asyncDispose]();
      if (crashed) return;
      await reporter.end();
      await directory[Symbol.asyncDispose]();
      client.disconnect();
    },
  };
}

/** An app, as rows: the key `k1` is replaced by `k2`. The directory need not have it. */
export async function insertApp(pool: pg.Pool, appId: string): Promise<void> {
  await pool.query(
    `INSERT INTO app (app_id, installation, namespace, name, object_uid, state, policy, changed_at, created_at)
     VALUES ($1, 'default', 'shop', $2, 'uid', 'Active', '{}', now(), now())`,
    [appId, `app-${appId}`],
  );
  const keys = [`${appId}k1`, `${appId}k2`];
  await pool.query('INSERT INTO public_key (key, app_id) SELECT key, $2 FROM unnest($1::text[]) AS key', [keys, appId]);
  await pool.query(
    `INSERT INTO app_key (app_id, id, key, secret, state, created_at, activated_at, retiring_at, overlap_until, expires_at)
     VALUES ($1, 'k1', $2, 'sealed', 'Retiring', now(), now(), now(), now(), now()),
            ($1, 'k2', $3, 'sealed', 'Active', now(), now(), NULL, NULL, NULL)`,
    [appId, ...keys],
  );
}

export async function insertToken(pool: pg.Pool, appId: string, id: string, state = 'Active'): Promise<void> {
  await pool.query(
    `INSERT INTO token (sha256, id, app_id, installation, namespace, name, object_uid, environment, state, changed_at, created_at)
     VALUES ($1, $2, $3, 'default', 'shop', $2, 'uid', 'Live', $4, now(), now())`,
    [Buffer.from(id).toString('hex').padEnd(64, '0'), id, appId, state],
  );
}
