import { processConfig } from './config.ts';
import { createRelayContext } from './context.ts';

const { log, shutDown } = await createRelayContext(processConfig());

const stop = (signal: string): void => {
  log.info({ signal }, 'stopping');
  shutDown().then(
    () => process.exit(0),
    (error: unknown) => {
      log.fatal({ err: error }, 'stopping failed');
      process.exit(1);
    },
  );
};
// A second signal ends the process at once, as Node does by default.
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
