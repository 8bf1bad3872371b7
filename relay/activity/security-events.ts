import type { Logger } from 'pino';
import { securityFacts, type RefusalCode } from '../gate/refusals.ts';
import type { Door } from '../gate/visit.ts';
import type { ActivityLog } from './activity.ts';
import { Occasions } from './occasions.ts';

export type SecurityEventsParts = {
  readonly activity: ActivityLog;
  readonly log: Logger;
  /** Milliseconds since some moment. */
  readonly now: () => number;
};

/** So seldom that an outsider who tries everything does not push out of the activity what else stands there. */
const TOLD_EVERY_MS = 600_000;

/** Tells the owners of an app who was kept out: each way in which that happens at once, and then every ten minutes while it goes on. */
export class SecurityEvents {
  readonly #parts: SecurityEventsParts;
  readonly #told: Occasions;

  constructor(parts: SecurityEventsParts) {
    this.#parts = parts;
    this.#told = new Occasions(parts.now, TOLD_EVERY_MS);
  }

  /** Of any refusal; most say nothing about security. */
  refused(appId: string, door: Door, code: RefusalCode): void {
    if (!securityFacts.has(code)) return;
    const count = this.#told.add(`${appId}\n${door}\n${code}`, 1);
    if (count === undefined) return;
    const detail = { door, code, count };
    this.#parts.log.warn({ appId, ...detail }, 'somebody was kept out');
    this.#parts.activity.tell(appId, { type: 'refused', detail });
  }
}
