import type { Logger } from 'pino';
import type { ActivityLog } from '../activity/activity.ts';
import { Occasions } from '../activity/occasions.ts';
import type { App } from '../directory/directory.ts';
import { scan, type Finding } from '../scan/scan.ts';
import type { ScreeningMetrics } from './metrics.ts';

/** What a text came as. */
export type Payload = 'event' | 'client_event' | 'user_info';

/** `text`: what may be delivered. `refusal`: in words, with detector and place. */
export type Screened = { readonly text: string } | { readonly refusal: string };

export type ScreeningParts = {
  readonly metrics: ScreeningMetrics;
  readonly activity: ActivityLog;
  readonly log: Logger;
  /** Milliseconds since some moment. */
  readonly now: () => number;
};

const TOLD_EVERY_MS = 60_000;

/** Applies an app's rules of secret scanning to what comes in, and tells of what was found: never the match, and never often. */
export class Screening {
  readonly #parts: ScreeningParts;
  readonly #told: Occasions;

  constructor(parts: ScreeningParts) {
    this.#parts = parts;
    this.#told = new Occasions(parts.now, TOLD_EVERY_MS);
  }

  /** @param name of the text, for the refusal: `data`, `batch[2].data`. */
  screen({ appId, secretScanning }: App, payload: Payload, text: string, name: string): Screened {
    if (secretScanning === undefined) return { text };
    const scanned = scan(text, secretScanning);
    if (scanned.verdict === 'clean') return { text };
    for (const finding of scanned.findings) this.#tell(appId, payload, finding);
    if (scanned.verdict === 'found') return { text: scanned.text };
    const refused = scanned.findings.filter(({ mode }) => mode === 'Reject');
    return { refusal: refused.map(({ detector, place }) => `${detector} in ${name}${at(place)}`).join(', ') };
  }

  #tell(appId: string, payload: Payload, { detector, mode, place, count }: Finding): void {
    const { metrics, activity, log } = this.#parts;
    metrics.found.inc({ detector, mode }, count);
    const told = this.#told.add(`${appId}\n${payload}\n${detector}\n${mode}`, count);
    if (told === undefined) return;
    const detail = { detector, mode, payload, place, count: told };
    log.warn({ appId, ...detail }, 'secrets were found in payloads');
    activity.tell(appId, { type: 'secret_found', detail });
  }
}

const at = (place: string): string => (place === '' ? '' : ` at ${place}`);
