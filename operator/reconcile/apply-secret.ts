import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { TransientError } from '../engine/errors.ts';
import type { Recorder } from '../world/recorder.ts';
import type { DesiredSecret, Secrets } from '../world/secrets.ts';

type Sinks = { readonly secrets: Secrets; readonly recorder: Recorder };

/**
 * Hands out credentials. A refusal that is about this Secret (a quota, a policy, a webhook) is told to whoever looks at the object; what
 * the API server says about it stays in the log, because it may repeat values.
 */
export async function applySecret(
  { secrets, recorder }: Sinks,
  object: RelayApp | RelayToken,
  desired: DesiredSecret,
  write: (secrets: Secrets, desired: DesiredSecret) => Promise<void> = (to, secret) => to.apply(secret),
): Promise<void> {
  try {
    await write(secrets, desired);
  } catch (error) {
    if (error instanceof TransientError && !error.quiet && error.backend === undefined) {
      recorder.event(
        object,
        'Warning',
        'SecretNotWritten',
        `Secret ${desired.name} could not be written: ${error.code}`,
      );
    }
    throw error;
  }
}
