import type { Logger } from 'pino';
import { Backoff } from '../engine/backoff.ts';
import type { Clock } from '../engine/clock.ts';
import { describeError } from '../engine/errors.ts';
import type { KubernetesClient } from './client.ts';

export type ApiServerWaitOptions = {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Resolves with the API server's version once it answers; says once that it waits. Rejects only with the signal's reason. */
export async function waitForApiServer({ client, clock, random, log, signal }: ApiServerWaitOptions): Promise<string> {
  const backoff = new Backoff({ baseMs: 500, maxMs: 15_000, random });
  for (;;) {
    try {
      const version = await client.version({ signal });
      if (backoff.failures > 0) log.info({ version, attempts: backoff.failures }, 'the API server answers');
      return version;
    } catch (error) {
      signal.throwIfAborted();
      if (backoff.failures === 0) log.warn(describeError(error), 'waiting for the API server');
      await clock.sleep(backoff.next(), signal);
    }
  }
}
