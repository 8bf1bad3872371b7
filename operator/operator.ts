import { Backoff } from './engine/backoff.ts';
import { systemClock } from './engine/clock.ts';
import { describeError } from './engine/errors.ts';
import { waitForApiServer } from './kubernetes/api-server-wait.ts';
import { lead } from './leader.ts';
import { migrate, NewerDatabaseError, readMigrations } from './postgres/migrate.ts';
import type { OperatorContext } from './context.ts';
import { whenReady } from './redis/connection.ts';
import { EvictionPolicyError, refuseEviction } from './redis/eviction-policy.ts';
import { startServer, type ReadinessCheck } from './server/server.ts';

/**
 * Runs an operator until the signal aborts: waits for PostgreSQL, Redis and the API server, whichever come late, follows the cluster, and
 * leads when elected. Rejects only for what waiting cannot mend (a database of a newer version, a Redis that evicts keys).
 */
export async function runOperator(context: OperatorContext, signal: AbortSignal): Promise<void> {
  const { config, metrics, world, election, gates, log, client } = context;
  await using _server = await startServer({
    host: config.HOST,
    metricsPort: config.METRICS_PORT,
    healthPort: config.HEALTH_PORT,
    metrics,
    checks: readinessChecks(context),
  });
  await Promise.all([
    waitForDatabase(context, signal),
    waitForRedis(context, signal),
    waitForApiServer({ client, clock: systemClock, random: Math.random, log, signal }),
  ]);
  const work = [
    world.run(signal),
    ...gates.map((gate) => gate.run(signal)),
    // The caches fill while somebody else leads, so that a takeover is quick.
    world.whenSynced(signal).then(() => election.run(signal, (leading) => lead(context.leader, leading))),
  ];
  await Promise.all(work);
}

function readinessChecks({ world, pool, redis }: OperatorContext): readonly ReadinessCheck[] {
  return [
    {
      name: 'kubernetes',
      check: async () => {
        const failing = world.health().find(({ lastError }) => lastError !== null);
        if (failing !== undefined) throw new Error(`${failing.name}: ${failing.lastError?.message ?? ''}`);
        if (!world.hasSynced()) throw new Error('not everything has been listed yet');
      },
    },
    { name: 'postgres', check: async () => void (await pool.query('SELECT 1')) },
    { name: 'redis', check: async () => void (await redis.ping()) },
  ];
}

async function waitForDatabase({ pool, log }: OperatorContext, signal: AbortSignal): Promise<void> {
  const migrations = await readMigrations();
  await patiently('PostgreSQL', log, signal, async () => {
    const applied = await migrate(pool, migrations);
    if (applied.length > 0) log.info({ migrations: applied }, 'database migrated');
  });
}

async function waitForRedis({ redis, log }: OperatorContext, signal: AbortSignal): Promise<void> {
  // The connection says by itself that it cannot be made, once per outage.
  await whenReady(redis, signal);
  await patiently('Redis', log, signal, () => refuseEviction(redis));
}

/** Tries until it works; one line when it does not at first. */
async function patiently(
  what: string,
  log: OperatorContext['log'],
  signal: AbortSignal,
  attempt: () => Promise<void>,
): Promise<void> {
  const backoff = new Backoff({ baseMs: 500, maxMs: 15_000, random: Math.random });
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NewerDatabaseError || error instanceof EvictionPolicyError) throw error;
      if (backoff.failures === 0) log.warn({ backend: what, ...describeError(error) }, 'waiting for a backend');
      await systemClock.sleep(backoff.next(), signal);
    }
  }
}
