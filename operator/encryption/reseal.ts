import type { Logger } from 'pino';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from '../directory/clock.ts';
import { describeError } from '../engine/errors.ts';
import type { Cursor, SealedSecrets } from './sealed-secrets.ts';

export type ResealOptions = {
  readonly secrets: SealedSecrets;
  /** ENCRYPTION_KEYS. */
  readonly encryption: Keyring;
  /** The term under which this process leads; undefined: it does not (yet). */
  readonly term: () => number | undefined;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** True when somebody else says of this error that a backend is down. Default: nobody does. */
  readonly saidElsewhere?: (error: unknown) => boolean;
};

const AGAIN_MS = 5_000;

/**
 * Seals with the first key of ENCRYPTION_KEYS what older keys seal, and says when the others are no longer needed. Once per leader is enough:
 * keys are read at start, and whatever is written from then on is sealed with the first. Resolves when that is done, or when the signal
 * aborts; PostgreSQL that is away is waited for.
 */
export async function reseal(options: ResealOptions, signal: AbortSignal): Promise<void> {
  const { secrets, term, clock, log, saidElsewhere } = options;
  let from: Cursor | undefined;
  let sealed = 0;
  while (!signal.aborted) {
    try {
      const leading = term();
      if (leading !== undefined) {
        const round = await secrets.sealAnew(leading, from);
        sealed += round.sealed;
        from = round.next;
        if (from !== undefined) continue;
        return tell(options, sealed, await secrets.count());
      }
    } catch (error) {
      const level = saidElsewhere?.(error) === true ? 'debug' : 'warn';
      log[level](describeError(error), 'secrets in the database cannot be encrypted anew, trying again');
    }
    await clock.sleep(AGAIN_MS, signal);
  }
}

function tell({ encryption, log }: ResealOptions, sealed: number, counts: ReadonlyMap<string, number>): void {
  const others = new Map([...counts].filter(([id]) => id !== encryption.current));
  const missing = [...others.keys()].filter((id) => !encryption.ids().includes(id));
  const secrets = Object.fromEntries(others);
  if (missing.length > 0)
    log.warn(
      { secrets },
      `secrets in the database are encrypted with ${missing.join(', ')}: put it back into ENCRYPTION_KEYS, behind the first key`,
    );
  else if (others.size > 0) log.warn({ secrets }, 'secrets in the database do not open with the key that they name');
  else if (encryption.ids().length > 1)
    log.info(
      { key: encryption.current, sealed },
      'every secret in the database is encrypted with the first key of ENCRYPTION_KEYS: the others can go',
    );
}
