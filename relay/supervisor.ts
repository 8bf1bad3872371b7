import type { Cluster } from 'node:cluster';
import { Registry } from 'prom-client';
import { workerEnvironment, type RelayConfig } from './config.ts';
import { relayLog } from './log.ts';
import { createManagementServer } from './server/management.ts';
import { listenManagement } from './server/server.ts';
import { Workers } from './workers.ts';

/**
 * The main process of a relay with several workers: it holds the port, which `node:cluster` hands out connection by connection, and the
 * management port, and has no connection to Redis. Ends the process when the workers have ended.
 */
export async function superviseRelay(
  config: RelayConfig,
  cluster: Cluster,
): Promise<{ readonly stop: (signal: string) => Promise<void> }> {
  const log = relayLog(config);
  const workers = new Workers({
    count: config.RELAY_WORKERS,
    fork: (worker) => cluster.fork(workerEnvironment(worker)),
    log,
  });
  const management = await listenManagement(
    createManagementServer({
      ready: () => workers.ready(),
      alive: () => workers.alive(),
      metrics: () => workers.metrics(),
      contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    }),
    config.HOST,
    config.METRICS_PORT,
  );
  log.info({ workers: config.RELAY_WORKERS, metricsPort: management.port }, 'relay workers are started');
  void endWith(workers, management);
  return {
    stop: async (signal) => {
      log.info({ signal }, 'stopping the workers');
      workers.stop();
      await workers.ended();
    },
  };
}

async function endWith(workers: Workers, management: AsyncDisposable): Promise<void> {
  const end = await workers.ended();
  await management[Symbol.asyncDispose]();
  process.exit(end === 'stopped' ? 0 : 1);
}
