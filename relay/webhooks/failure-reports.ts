import type { GivenUp } from './webhook-queue.ts';

const EVERY_MS = 60_000;
/** Beyond so many, those that are due are forgotten first. */
const MOST = 1_000;

/**
 * How often people are told that a webhook fails: once a minute for each reason, with the number of events since the last time. A tenant's
 * broken endpoint must not fill the log.
 */
export class FailureReports {
  readonly #now: () => number;
  readonly #told = new Map<string, { at: number; events: number }>();

  /** @param now milliseconds since some moment */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What to tell now, if anything. */
  add(appId: string, { webhook, reason, events }: GivenUp): GivenUp | undefined {
    const key = `${appId}\n${webhook}\n${reason}`;
    const now = this.#now();
    const last = this.#told.get(key);
    if (last !== undefined && now - last.at < EVERY_MS) {
      last.events += events;
      return undefined;
    }
    if (this.#told.size >= MOST) this.#prune(now);
    this.#told.set(key, { at: now, events: 0 });
    return { webhook, reason, events: events + (last?.events ?? 0) };
  }

  #prune(now: number): void {
    for (const [key, { at }] of this.#told) if (now - at >= EVERY_MS) this.#told.delete(key);
  }
}
