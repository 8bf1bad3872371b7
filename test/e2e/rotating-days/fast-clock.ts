import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#operator/engine/clock.ts';

/** Time that runs `factor` times as fast, and showed the right one at `origin` (epoch ms). The same in every process of this machine. */
export type FastTime = { readonly origin: number; readonly factor: number };

/** Nothing is slept away faster: what polls every few seconds would do nothing else, and two minutes for a reconcile would be 80 ms. */
const SHORTEST_MS = 1_000;

export function fastClock({ origin, factor }: FastTime): Clock {
  return {
    now: () => origin + (Date.now() - origin) * factor,
    monotonic: () => performance.now() * factor,
    sleep: async (ms, signal) => {
      const real = Math.min(Math.max(ms, 0), Math.max(SHORTEST_MS, ms / factor));
      try {
        await delay(real, undefined, signal ? { signal } : {});
      } catch (error) {
        throw signal?.aborted === true ? signal.reason : error;
      }
    },
  };
}

/** For a process: `FAST_TIME` of its environment. Nothing of the product reads it. */
export const fastTimeText = ({ origin, factor }: FastTime): string => `${origin} ${factor}`;

export function fastTimeOf(text = ''): FastTime {
  const [origin = Number.NaN, factor = Number.NaN] = text.split(' ').map(Number);
  if (!(origin > 0 && factor > 0)) throw new Error(`FAST_TIME is not an origin and a factor: ${text}`);
  return { origin, factor };
}
