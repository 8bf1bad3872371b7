import type { App } from '../../directory/directory.ts';
import { check } from '../check.ts';

const BATCH = 10;
/** Every byte of an event's data may stand as `\u00XX` in JSON. */
const WORST_ESCAPE = 6;
const ENVELOPE_BYTES = 64 * 1024;

/** Bytes that the largest legitimate request of this app can have: a full batch of full events, escaped as badly as JSON allows. */
export function maxBodyBytes(app: App): number {
  return BATCH * WORST_ESCAPE * app.limits.eventBytes + ENVELOPE_BYTES;
}

/** By the announced length, so that nothing is read in vain; the reader of the body holds those who announce nothing to the same limit. */
export const bodySize = check({
  name: 'body-size',
  doors: ['http'],
  stage: 'arrival',
  refuses: ['body_too_large'],
  refusal: ({ app, announcedBytes }) =>
    app !== undefined && (announcedBytes ?? 0) > maxBodyBytes(app) ? 'body_too_large' : undefined,
});
