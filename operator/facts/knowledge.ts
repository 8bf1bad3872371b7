import { MOST_QUIET_MS } from '../rotation/retirement.ts';
import type { Progress } from './progress.ts';

/**
 * Up to when everything is known that relays had to tell, in epoch ms; null: that cannot be said. Pure.
 * Whoever may still have something to tell counts: every member of the directory, and every process that has told and did not say that it
 * ends. After a loss nothing is claimed until the time in which a credential has to be quiet has passed once more: what was lost
 * may have been the one use that shows that it is needed.
 * @param members ids of the relays that count for the directory; none: nobody can say what is used
 */
export function knownUntil({ sources, since }: Progress, members: readonly string[], now: number): number | null {
  if (members.length === 0 || now - since < MOST_QUIET_MS) return null;
  let known = now;
  for (const id of members) {
    const source = sources.get(id);
    if (source === undefined) return null;
    known = Math.min(known, source.until);
  }
  for (const { until, ended } of sources.values()) if (!ended) known = Math.min(known, until);
  return known;
}
