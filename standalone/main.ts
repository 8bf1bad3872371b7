import { processConfig } from './config.ts';
import { run } from './run.ts';

const config = processConfig();
const stop = new AbortController();
let asked: number | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    asked ??= performance.now();
    // A second Ctrl-C ends it at once, with what shells report of that. Not one that npm passes on beside the terminal's own.
    if (performance.now() - asked > 1_000) process.exit(130);
    stop.abort();
  });
}
process.exit(await run(config, stop.signal));
