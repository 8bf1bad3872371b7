import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { TransientError } from '../engine/errors.ts';
import type { Recorder } from '../world/recorder.ts';
import type { DesiredSecret, Secrets } from '../world/secrets.ts';
import { tellRefusal } from './told-refusal.ts';

type Sinks = { readonly secrets: Secrets; readonly recorder: Recorder };

/** Hands out credentials. What the API server says about a refusal is for whoever runs the operator, and stays in its log. */
export async function applySecret(
  { secrets, recorder }: Sinks,
  object: RelayApp | RelayToken,
  desired: DesiredSecret,
  write: (secrets: Secrets, desired: DesiredSecret) => Promise<void> = (to, secret) => to.apply(secret),
): Promise<void> {
  const message = ({ code }: TransientError): string => `Secret ${desired.name} could not be written: ${code}`;
  await tellRefusal({ recorder, object, reason: 'SecretNotWritten', message }, () => write(secrets, desired));
}
