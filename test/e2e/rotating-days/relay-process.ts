import { processConfig } from '#relay/config.ts';
import { createRelayContext } from '#relay/context.ts';
import { fastClock, fastTimeOf } from './fast-clock.ts';

// relay/main.ts on a fast clock, one process. It ends by being killed.
const { now, sleep } = fastClock(fastTimeOf(process.env['FAST_TIME']));
const { shutDown } = await createRelayContext(processConfig(), undefined, {
  clock: { now, sleep: (ms, signal) => sleep(ms, signal).catch(() => {}) },
  // As often as the operator expects by its clock, as far as that can be.
  factTimes: { everyMs: 20, toldAgainMs: 60_000 },
});
process.once('SIGTERM', () => void shutDown().then(() => process.exit(0)));
