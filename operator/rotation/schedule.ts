import { createHash } from 'node:crypto';

/** A time of the past that lies further ahead than this was written under a clock that was wrong. */
const CLOCK_ERROR_MS = 3_600_000;
const SPREAD_SHARE = 0.01;
const MOST_SPREAD_MS = 3_600_000;
/** Of the spread, for the last one too: making a credential, having it enforced and handing it out takes time. */
const AHEAD_SHARE = 0.1;

export type RotationSchedule = {
  /** Since when the present credential is handed out, epoch ms. */
  readonly activatedAt: number;
  /** In ms. */
  readonly interval: number;
  /** Of the credential: the same one is due at the same moment, whoever asks. */
  readonly id: string;
};

/**
 * When the next credential is due, epoch ms: an interval after the present one, and by its id between a thousandth and a hundredth of that (six
 * minutes and an hour at the most) earlier, so that a thousand that were made in one minute do not rotate in one, and are handed out by then. Now, if the present one was handed out
 * in the future: a clock that was wrong must not keep it for ever.
 */
export function nextRotation({ activatedAt, interval, id }: RotationSchedule, now: number): number {
  if (activatedAt > now + CLOCK_ERROR_MS) return now;
  const spread = Math.min(interval * SPREAD_SHARE, MOST_SPREAD_MS);
  const share = createHash('sha256').update(id).digest().readUInt32BE() / 2 ** 32;
  return activatedAt + interval - Math.floor((AHEAD_SHARE + share * (1 - AHEAD_SHARE)) * spread);
}
