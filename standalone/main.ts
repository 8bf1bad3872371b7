import { processConfig } from './config.ts';
import { run } from './run.ts';

const config = processConfig();
const stop = new AbortController();
let asked = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    asked += 1;
    // 128 + SIGINT: what a shell reports of a process that Ctrl-C ended.
    if (asked > 1) process.exit(130);
    stop.abort();
  });
}
process.exit(await run(config, stop.signal));
