import { processConfig } from './config.ts';
import { createContext } from './context.ts';
import { describeError } from './engine/errors.ts';
import { runOperator } from './operator.ts';

const config = processConfig();
await using context = createContext(config);
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
try {
  await runOperator(context, stop.signal);
} catch (error) {
  if (!stop.signal.aborted) {
    context.log.fatal(describeError(error), 'the operator cannot run');
    process.exitCode = 1;
  }
}
