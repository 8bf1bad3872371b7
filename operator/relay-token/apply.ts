import type { RelayToken } from '#crds/relay-token.ts';
import { defaultedToken } from '#crds/relay-token.ts';
import { TransientError } from '../engine/errors.ts';
import { applySecret } from '../reconcile/apply-secret.ts';
import type { Registry } from '../registry/registry.ts';
import type { Objects } from '../world/objects.ts';
import type { Recorder } from '../world/recorder.ts';
import type { Secrets } from '../world/secrets.ts';
import { findToken, tokenSecret } from './secret.ts';
import type { TokenStep } from './step.ts';

export type TokenSinks = {
  readonly tokens: Objects<RelayToken>;
  readonly secrets: Secrets;
  readonly registry: Registry;
  readonly recorder: Recorder;
  readonly relayUrl: string;
};

/** Carries out one step: the only place where reconciling a token has effects. Repeating a step that was cut off is harmless. */
export async function applyTokenStep(sinks: TokenSinks, object: RelayToken, step: TokenStep): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  const subject = { namespace, name, uid };
  switch (step.do) {
    case 'AddFinalizer':
      return sinks.tokens.addFinalizer(object);
    case 'MintToken':
      return mint(sinks, object, step);
    case 'SetExpiry':
      return sinks.registry.setTokenExpiry(subject, step.sha256, step.expiresAt);
    case 'SetPolicy':
      return sinks.registry.setTokenPolicy(subject, step.hashes, step.policy);
    case 'RevokeTokens':
      return sinks.registry.revokeTokens(subject, step.hashes, step.reason);
    case 'ApplySecret':
      return applySecret(sinks, object, step.secret);
    case 'DeleteSecret':
      return sinks.secrets.delete(step.secret);
    case 'RemoveFinalizer':
      return sinks.tokens.removeFinalizer(object);
    case 'Event':
      sinks.recorder.event(object, step.type, step.reason, step.message);
  }
}

/** Registered first, handed out second: killed in between, the next reconcile finds a token without a Secret and mints another. */
async function mint(
  sinks: TokenSinks,
  object: RelayToken,
  { mint, lost }: Extract<TokenStep, { do: 'MintToken' }>,
): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  if (lost !== null) {
    // A cache that lags must not retire a token that is safely in its Secret.
    const { secretName } = defaultedToken(name, object.spec);
    const secret = await sinks.secrets.readLive({ namespace, name: secretName });
    if (secret !== undefined && secret.owner?.uid === uid && findToken([secret], lost.sha256) !== undefined) {
      throw new TransientError('StaleCache', `Secret ${secretName} holds its token after all`, { quiet: true });
    }
    if (lost.handedOut) {
      sinks.recorder.event(
        object,
        'Warning',
        'TokenReissued',
        `Secret ${secretName} no longer held the token: a new one is in it; the old one works on for 7 days (set spec.revoked to end it at once)`,
      );
    }
  }
  const token = await sinks.registry.mintToken({ namespace, name, uid }, mint);
  await applySecret(sinks, object, tokenSecret(object, mint.appId, sinks.relayUrl, token.reveal()));
}
