import cluster from 'node:cluster';
import { loggedError } from '#crds/logged-error.ts';
import { processConfig, workerConfig, workerNumber } from './config.ts';
import { createRelayContext } from './context.ts';
import { relayLog } from './log.ts';
import { superviseRelay } from './supervisor.ts';
import { answerSupervisor } from './worker.ts';

const config = processConfig();
const worker = workerNumber();

/** What SIGTERM and SIGINT call, and how the process then ends. */
async function start(): Promise<{ readonly stop: (signal: string) => Promise<void> }> {
  if (worker === undefined && config.RELAY_WORKERS > 1) return superviseRelay(config, cluster);
  const { log, relay, metricsRegistry, shutDown } = await createRelayContext(
    worker === undefined ? config : workerConfig(config, worker),
  );
  if (worker !== undefined) answerSupervisor({ ready: relay.ready, registry: metricsRegistry });
  return {
    stop: async (signal) => {
      log.info({ signal }, 'stopping');
      try {
        await shutDown();
        process.exit(0);
      } catch (error) {
        log.fatal({ err: error }, 'stopping failed');
        process.exit(1);
      }
    },
  };
}

/** For what waiting cannot mend: a port that is taken, a certificate that cannot be served. */
const cannotRun = (error: unknown): never => {
  const { code, message } = loggedError(error);
  relayLog(config).fatal({ code, message }, 'the relay cannot run');
  process.exit(1);
};

const { stop } = await start().catch(cannotRun);
// A second signal ends the process at once, as Node does by default.
process.once('SIGTERM', (signal) => void stop(signal));
// A terminal sends it to the whole group: workers are told by their supervisor, so that each is told once.
if (worker === undefined) process.once('SIGINT', (signal) => void stop(signal));
else process.on('SIGINT', () => undefined);
