import type { RelayToken } from '#crds/relay-token.ts';
import { defaultedToken } from '#crds/relay-token.ts';
import { timestamp } from '../engine/conditions.ts';
import { TransientError } from '../engine/errors.ts';
import { applySecret } from '../reconcile/apply-secret.ts';
import type { AnnouncementRegistry } from '../registry/announcement-registry.ts';
import type { TokenRegistry } from '../registry/token-registry.ts';
import { stagedName } from '../rotation/staging.ts';
import type { Objects } from '../world/objects.ts';
import type { Recorder } from '../world/recorder.ts';
import type { Secrets } from '../world/secrets.ts';
import { findToken, stagedSecret, tokenSecret } from './secret.ts';
import type { TokenStep } from './step.ts';

export type TokenSinks = {
  readonly tokens: Objects<RelayToken>;
  readonly secrets: Secrets;
  readonly registry: Omit<TokenRegistry, 'findTokens'> & Pick<AnnouncementRegistry, 'announce'>;
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
    case 'StageToken':
      return stage(sinks, object, step);
    case 'DropStaged':
      return dropStaged(sinks, object, step);
    case 'HandOut':
      return applySecret(sinks, object, step.secret, (secrets, secret) => secrets.replace(step.over, secret));
    case 'PromoteToken':
      return promote(sinks, object, step);
    case 'SetEnd':
      return sinks.registry.setTokenEnd(subject, step.sha256, step);
    case 'ExpireTokens':
      return sinks.registry.expireTokens(subject, step.hashes, step.announce);
    case 'Announce':
      return sinks.registry.announce(step.announcement);
    case 'RecordRequest':
      return sinks.registry.recordRotateRequest(subject, step.sha256, step.value);
    case 'SetPolicy':
      return sinks.registry.setTokenPolicy(subject, step.hashes, step.policy);
    case 'RevokeTokens':
      return sinks.registry.revokeTokens(subject, step.hashes, step.reason, step.announce);
    case 'ApplySecret':
      return applySecret(sinks, object, step.secret);
    case 'ReplaceSecret':
      return applySecret(sinks, object, step.secret, (secrets, secret) => secrets.replace(step.seen, secret));
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
  { mint, lost, over }: Extract<TokenStep, { do: 'MintToken' }>,
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
        `Secret ${secretName} no longer held the token: a new one is in it; the old one works on${lost.until === null ? '' : ` until ${timestamp(lost.until)}`} (set spec.revoked to end it at once)`,
      );
    }
  }
  const token = await sinks.registry.mintToken({ namespace, name, uid }, mint);
  const desired = tokenSecret(object, mint.appId, sinks.relayUrl, token.reveal());
  // What another leader has handed out meanwhile exists nowhere else.
  await applySecret(sinks, object, desired, (secrets, secret) =>
    over === undefined ? secrets.apply(secret) : secrets.replace(over, secret),
  );
}

/** Published first, staged second: killed in between, the next reconcile finds a Pending token that is in no Secret, and drops it. */
async function stage(
  sinks: TokenSinks,
  object: RelayToken,
  { mint }: Extract<TokenStep, { do: 'StageToken' }>,
): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  const place = { namespace, name: stagedName(defaultedToken(name, object.spec).secretName) };
  if ((await sinks.secrets.readLive(place)) !== undefined) {
    const message = `Secret ${place.name} exists, and the next token cannot be staged there`;
    sinks.recorder.event(
      object,
      'Warning',
      'RotationBlocked',
      `${message}: delete it, or choose another spec.secretName`,
    );
    throw new TransientError('conflict', message, { quiet: true });
  }
  const token = await sinks.registry.mintToken({ namespace, name, uid }, mint);
  const staged = stagedSecret(object, mint.appId, sinks.relayUrl, token.reveal());
  await applySecret(sinks, object, staged, (secrets, secret) => secrets.create(secret));
}

async function dropStaged(
  sinks: TokenSinks,
  object: RelayToken,
  { sha256 }: Extract<TokenStep, { do: 'DropStaged' }>,
): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  // A cache that lags must not drop a token that is safely staged, or handed out already.
  const { secretName } = defaultedToken(name, object.spec);
  for (const place of [stagedName(secretName), secretName]) {
    const secret = await sinks.secrets.readLive({ namespace, name: place });
    if (secret !== undefined && secret.owner?.uid === uid && findToken([secret], sha256) !== undefined)
      throw new TransientError('StaleCache', `Secret ${place} holds its token after all`, { quiet: true });
  }
  await sinks.registry.revokeTokens({ namespace, name, uid }, [sha256], 'never handed out');
}

async function promote(
  sinks: TokenSinks,
  object: RelayToken,
  { promote }: Extract<TokenStep, { do: 'PromoteToken' }>,
): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  await sinks.registry.promoteToken({ namespace, name, uid }, promote);
  const { secretName } = defaultedToken(name, object.spec);
  const [old] = promote.retire;
  const until = old?.expiresAt ?? null;
  sinks.recorder.event(
    object,
    'Normal',
    'Rotated',
    `Secret ${secretName} holds a new token; the old one works on${until === null ? '' : ` until ${timestamp(until)}`}`,
  );
}
