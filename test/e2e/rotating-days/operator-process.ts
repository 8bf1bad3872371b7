import { processConfig } from '#operator/config.ts';
import { createContext } from '#operator/context.ts';
import { runOperator } from '#operator/operator.ts';
import { fastClock, fastTimeOf } from './fast-clock.ts';

// operator/main.ts on a fast clock. It ends by being killed.
const clock = fastClock(fastTimeOf(process.env['FAST_TIME']));
await using context = createContext(processConfig(), { clock, factsEveryMs: 20 });
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
try {
  await runOperator(context, stop.signal);
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
