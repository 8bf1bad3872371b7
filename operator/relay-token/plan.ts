import { isDeepStrictEqual } from 'node:util';
import { FINALIZER } from '#crds/api-group.ts';
import { defaultedToken, type DefaultedToken } from '#crds/relay-token.ts';
import { hasFinalizer } from '../engine/finalizers.ts';
import { occasionKey } from '../notifications/occasion.ts';
import { waitForApp } from '../reconcile/app-wait.ts';
import { planRelease } from '../reconcile/removal.ts';
import { satisfies } from '../reconcile/secret-state.ts';
import type { StoredSecret } from '../world/secrets.ts';
import type { MintToken, TokenPolicy, TokenRow } from '../registry/token-registry.ts';
import { requestedRotation } from '../rotation/rotate-request.ts';
import { stagedName } from '../rotation/staging.ts';
import { died, noticesOf, replacedNow } from './announcements.ts';
import { planRetirements, retired } from './retirement.ts';
import { isRotationDue, planHandover, rotationRequest } from './rotation.ts';
import { live, newest, replaced, working } from './rows.ts';
import { findToken, tokenSecret } from './secret.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenPlan, TokenStep } from './step.ts';
import { blockedPlan, revokedPlan, settledPlan, waitingPlan } from './status.ts';

const DONE = { kind: 'done' } as const;

/** A Secret that is deleted over and over leaves this many replaced tokens at the most. */
const MOST_REPLACED = 8;

/** Decides the next steps for one token. Pure: golden pairs in `testdata/` are its test. */
export function planToken(snapshot: TokenSnapshot): TokenPlan {
  const { object } = snapshot;
  const held = hasFinalizer(object, FINALIZER);
  if (object.metadata.deletionTimestamp !== undefined)
    return held ? planRemoval(snapshot) : { steps: [], outcome: DONE };
  if (!held) return step({ do: 'AddFinalizer' });

  const spec = defaultedToken(object.metadata.name, object.spec);
  // Before everything else: killing a token depends on nothing.
  if (spec.revoked) return planRevoked(snapshot, spec);
  // Neither does taking rights away, also from tokens that were replaced and still work.
  const policy = policyOf(spec);
  const others = working(snapshot.rows).filter((row) => !isDeepStrictEqual(row.policy, policy));
  if (others.length > 0) return step({ do: 'SetPolicy', hashes: others.map((row) => row.sha256), policy });
  if (snapshot.secret.kind === 'foreign') {
    // A replaced token that is used stays, and one that is not goes, whatever is in the way of the next one.
    const { steps, cautions } = planRetirements(snapshot, spec);
    if (steps.length > 0) return { steps, outcome: DONE };
    const message = `Secret ${spec.secretName} exists and is not this token's (${snapshot.secret.why}): delete it, or choose another spec.secretName`;
    return blockedPlan(snapshot, message, cautions);
  }
  const wait = waitForApp(snapshot.app, spec.appName, object.metadata, snapshot.now);
  if (wait.kind === 'patient') return { steps: [], outcome: { kind: 'requeueAfter', ms: wait.ms } };
  if (wait.kind === 'told') return waitingPlan(snapshot, wait.reason, wait.message);
  // Tokens of an app that was deleted and registered anew.
  const orphans = live(snapshot.rows).filter((row) => row.appId !== wait.appId);
  if (orphans.length > 0)
    return step({
      do: 'RevokeTokens',
      hashes: orphans.map((row) => row.sha256),
      reason: 'app registered anew',
      announce: died(snapshot, spec, working(orphans), 'AppDeleted'),
    });
  return planLive(snapshot, spec, wait.appId);
}

function planLive(snapshot: TokenSnapshot, spec: DefaultedToken, appId: string): TokenPlan {
  const { object, rows, secret, strays, now, relayUrl } = snapshot;
  const { rotation, secretName } = spec;
  const hardEnd = spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt);
  const retirements = planRetirements(snapshot, spec);
  if (retirements.steps.length > 0) return { steps: retirements.steps, outcome: DONE };
  const active = rows.find((row) => row.state === 'Active');
  const pending = rows.find((row) => row.state === 'Pending');
  const dated = [active, pending].find((row) => row !== undefined && row.expiresAt !== hardEnd);
  if (dated !== undefined)
    return step({ do: 'SetEnd', sha256: dated.sha256, expiresAt: hardEnd, graceUntil: null, final: false });
  const mint: Mint = {
    appId,
    environment: spec.environment,
    policy: policyOf(spec),
    expiresAt: hardEnd,
    at: now,
    rotateRequest: requestedRotation(object.metadata) ?? active?.rotateRequest ?? null,
  };
  if (active === undefined) {
    if (hardEnd !== null && hardEnd <= now) return settledPlan(snapshot, spec, { active: undefined, retirements });
    const revoke = pending === undefined ? [] : [pending.sha256];
    return step({
      do: 'MintToken',
      mint: { ...mint, state: 'Active', retire: [], revoke },
      lost: null,
      ...insteadOf(snapshot),
    });
  }

  const staged = strays.find(({ name }) => name === stagedName(secretName));
  const others = strays.filter((stray) => stray !== staged);
  const token = findToken(secret.kind === 'ours' ? [secret.secret, ...strays] : strays, active.sha256);
  const desired = token === undefined ? undefined : tokenSecret(object, appId, relayUrl, token);
  const cause = pending?.rotateRequest === active.rotateRequest ? 'Interval' : 'Annotation';
  const retire = replacing(snapshot, spec, active, cause);
  const lost = desired === undefined;
  const handover = planHandover({ snapshot, appId, active, pending, staged, retire, lost });
  if (handover !== undefined && handover !== 'wait') return step(handover);
  // While the next one waits for the relays as well: an edit of the Secret is undone at once.
  if (desired !== undefined && secret.kind !== 'ours') return step({ do: 'ApplySecret', secret: desired });
  if (desired !== undefined && secret.kind === 'ours' && !satisfies(secret.secret, desired))
    return step({ do: 'ReplaceSecret', seen: secret.secret, secret: desired });
  if (handover === 'wait') return settledPlan(snapshot, spec, { active, retirements });

  if (desired === undefined) return planReissue(snapshot, spec, active, mint);
  const [stray] = staged === undefined ? others : [staged, ...others];
  if (stray !== undefined) return step({ do: 'DeleteSecret', secret: stray });
  const request = rotationRequest(object, active);
  if (request.kind === 'unrecorded') return step({ do: 'RecordRequest', sha256: active.sha256, value: request.value });
  const over = hardEnd !== null && hardEnd <= now;
  if (!over && isRotationDue(object, active, rotation, now)) {
    if (snapshot.stagingTaken !== undefined) {
      const message = `Secret ${stagedName(secretName)}, in which the next token waits until every relay knows it, exists and is not this token's (${snapshot.stagingTaken}): delete it, or choose another spec.secretName`;
      return blockedPlan(snapshot, message, retirements.cautions);
    }
    return step({ do: 'StageToken', mint: { ...mint, state: 'Pending', retire: [], revoke: [] } });
  }
  const notices = noticesOf(snapshot, spec, active);
  const announcement = notices.due.find(({ occasion }) => !snapshot.announced.includes(occasionKey(occasion)));
  if (announcement !== undefined) return step({ do: 'Announce', announcement });
  const wakes = [...retirements.wakes, ...notices.wakes];
  return settledPlan(snapshot, spec, { active, retirements: { ...retirements, wakes } });
}

type Mint = Omit<MintToken, 'state' | 'retire' | 'revoke' | 'announce'>;

/** What becomes of the active token, and of those before it, when another one takes its place now. */
function replacing(
  snapshot: TokenSnapshot,
  spec: DefaultedToken,
  active: TokenRow,
  cause: 'Interval' | 'Annotation' | 'SecretLost',
): Required<Pick<MintToken, 'retire' | 'revoke' | 'announce'>> {
  const { rows, now } = snapshot;
  const { rotation, expiresAt } = spec;
  const hardEnd = expiresAt === undefined ? null : Date.parse(expiresAt);
  const tooMany = replaced(rows).slice(MOST_REPLACED - 1);
  const retire = retired(active, rotation, hardEnd, now);
  return {
    retire: [retire],
    revoke: tooMany.map((row) => row.sha256),
    announce: [replacedNow(snapshot, spec, active, retire, cause), ...died(snapshot, spec, tooMany, 'MadeRoom')],
  };
}

function insteadOf({ secret }: TokenSnapshot): { readonly over?: StoredSecret } {
  return secret.kind === 'ours' ? { over: secret.secret } : {};
}

/** No Secret holds the active token: a new one. */
function planReissue(snapshot: TokenSnapshot, spec: DefaultedToken, active: TokenRow, mint: Mint): TokenPlan {
  const { object } = snapshot;
  // The status names a token only once it is in its Secret, and one that was staged is Active only then. Of another object's (a rebuilt
  // cluster) nobody can say who has it.
  const handedOut =
    active.objectUid !== object.metadata.uid ||
    object.status?.tokenId === active.id ||
    active.activatedAt !== active.createdAt;
  const { sha256 } = active;
  // The operator was killed before it could hand it out: nobody has it.
  if (!handedOut) {
    const lost = { sha256, handedOut, until: null };
    return step({
      do: 'MintToken',
      mint: { ...mint, state: 'Active', retire: [], revoke: [sha256] },
      lost,
      ...insteadOf(snapshot),
    });
  }
  // A deleted Secret is repaired, not a kill switch: the old one works on for whoever has read it.
  const replace = replacing(snapshot, spec, active, 'SecretLost');
  const lost = { sha256, handedOut, until: replace.retire[0]?.expiresAt ?? null };
  return step({ do: 'MintToken', mint: { ...mint, state: 'Active', ...replace }, lost, ...insteadOf(snapshot) });
}

function planRevoked(snapshot: TokenSnapshot, spec: DefaultedToken): TokenPlan {
  const { object, rows, secret, strays, relayUrl } = snapshot;
  const hashes = live(rows).map((row) => row.sha256);
  if (hashes.length > 0) {
    const announce = died(snapshot, spec, working(rows), 'Revoked');
    return step({ do: 'RevokeTokens', hashes, reason: 'spec.revoked', announce });
  }
  if (secret.kind === 'ours') {
    const desired = tokenSecret(object, secret.secret.data['RELAY_APP_ID'] ?? '', relayUrl, undefined);
    if (!satisfies(secret.secret, desired)) return step({ do: 'ReplaceSecret', seen: secret.secret, secret: desired });
  }
  const [stray] = strays;
  if (stray !== undefined) return step({ do: 'DeleteSecret', secret: stray });
  return revokedPlan(snapshot);
}

function planRemoval(snapshot: TokenSnapshot): TokenPlan {
  const ending = live(snapshot.rows);
  if (ending.length > 0) {
    const { uid, name } = snapshot.object.metadata;
    const announce = died(snapshot, defaultedToken(name, snapshot.object.spec), working(ending), 'Deleted');
    const hashes = ending.map((row) => row.sha256);
    const revoke = { do: 'RevokeTokens', hashes, reason: 'deleted', announce } as const;
    if (ending.every((row) => row.objectUid === uid)) return step(revoke);
    // Another object's: of an earlier one (a rebuilt cluster), or of the successor while a cache that lags shows this one. Writing the
    // finalizer that it already holds is refused in the second case, before the successor loses its token.
    return { steps: [{ do: 'AddFinalizer' }, revoke], outcome: DONE };
  }
  // Not left to the garbage collector: whoever applies the same name again finds the way clear.
  const [owned] = snapshot.strays;
  if (owned !== undefined) return step({ do: 'DeleteSecret', secret: owned });
  const last = newest(snapshot.rows);
  if (last === undefined) return step({ do: 'RemoveFinalizer' });
  const { revision, changedAt } = last;
  return planRelease({ enforced: snapshot.enforced, revision, changedAt }, snapshot.now);
}

function step(only: TokenStep): TokenPlan {
  return { steps: [only], outcome: DONE };
}

/** What the relays shall enforce. */
function policyOf({ scopes, rate }: DefaultedToken): TokenPolicy {
  return { scopes, rate };
}
