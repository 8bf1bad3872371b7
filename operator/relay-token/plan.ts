import { isDeepStrictEqual } from 'node:util';
import { FINALIZER } from '#crds/api-group.ts';
import { REASON } from '#crds/conditions.ts';
import { defaultedToken, type DefaultedToken } from '#crds/relay-token.ts';
import { planRelease } from '../reconcile/removal.ts';
import { satisfies } from '../reconcile/secret-state.ts';
import type { MintToken, TokenPolicy, TokenRow } from '../registry/token-registry.ts';
import { live, newest } from './rows.ts';
import { findToken, tokenSecret } from './secret.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenPlan, TokenStep } from './step.ts';
import { blockedPlan, revokedPlan, settledPlan, waitingPlan } from './status.ts';

const DONE = { kind: 'done' } as const;

/** How long a token that lost its Secret goes on working for whoever read it in time. The `overlap` of rotation, once that is declared. */
const OVERLAP_MS = 168 * 3_600_000;
/** How long a new token waits for its app before it says so. */
const PATIENCE_MS = 2_000;
/** A Secret that is deleted over and over leaves this many retiring tokens at the most. */
const MOST_RETIRING = 3;

/** Decides the next steps for one token. Pure: golden pairs in `testdata/` are its test. */
export function planToken(snapshot: TokenSnapshot): TokenPlan {
  const { object } = snapshot;
  const held = object.metadata.finalizers?.includes(FINALIZER) ?? false;
  if (object.metadata.deletionTimestamp !== undefined)
    return held ? planRemoval(snapshot) : { steps: [], outcome: DONE };
  if (!held) return step({ do: 'AddFinalizer' });

  const spec = defaultedToken(object.metadata.name, object.spec);
  // Before everything else: killing a token depends on nothing.
  if (spec.revoked) return planRevoked(snapshot);
  // Neither does taking rights away, also from tokens that were replaced and still work.
  const policy = policyOf(spec);
  const others = live(snapshot.rows).filter((row) => !isDeepStrictEqual(row.policy, policy));
  if (others.length > 0) return step({ do: 'SetPolicy', hashes: others.map((row) => row.sha256), policy });
  if (snapshot.secret.kind === 'foreign') {
    const message = `Secret ${spec.secretName} exists and is not this token's (${snapshot.secret.why}): delete it, or choose another spec.secretName`;
    return blockedPlan(snapshot, message);
  }
  const { app } = snapshot;
  // Applied together with its app, it waits a moment without a word: the app's registration reconciles it, and saves a write.
  const age = Math.max(0, snapshot.now - Date.parse(object.metadata.creationTimestamp ?? ''));
  const young = PATIENCE_MS - age;
  if (app.kind !== 'registered' && young > 0) return { steps: [], outcome: { kind: 'requeueAfter', ms: young } };
  if (app.kind === 'absent') {
    return waitingPlan(
      snapshot,
      REASON.AppNotFound,
      `no RelayApp ${spec.appName} in namespace ${object.metadata.namespace}`,
    );
  }
  if (app.kind === 'unregistered')
    return waitingPlan(snapshot, REASON.AppNotReady, `RelayApp ${spec.appName} is not registered yet`);
  const ended = endedRows(snapshot, app.appId);
  if (ended.length > 0) return step({ do: 'RevokeTokens', hashes: ended, reason: 'ended' });
  return planLive(snapshot, spec, app.appId);
}

/** Tokens of an app that was deleted and registered anew, and replaced ones whose time is over. */
function endedRows({ rows, now }: TokenSnapshot, appId: string): string[] {
  return live(rows)
    .filter(
      (row) => row.appId !== appId || (row.state === 'Retiring' && row.expiresAt !== null && row.expiresAt <= now),
    )
    .map((row) => row.sha256);
}

function planLive(snapshot: TokenSnapshot, spec: DefaultedToken, appId: string): TokenPlan {
  const { object, rows, secret, strays, now, relayUrl } = snapshot;
  const expiresAt = spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt);
  // A hard end holds for what was replaced as well.
  const late = rows.find(
    (row) => row.state === 'Retiring' && expiresAt !== null && (row.expiresAt ?? Infinity) > expiresAt,
  );
  if (late !== undefined) return step({ do: 'SetExpiry', sha256: late.sha256, expiresAt });
  const active = rows.find((row) => row.state === 'Active');
  const mint = { appId, environment: spec.environment, policy: policyOf(spec), expiresAt };
  if (active === undefined) {
    if (expiresAt !== null && expiresAt <= now) return settledPlan(snapshot, spec, undefined);
    return step({ do: 'MintToken', mint: { ...mint, retire: [], revoke: [] }, lost: null });
  }
  const ours = secret.kind === 'ours' ? [secret.secret, ...strays] : strays;
  const token = findToken(ours, active.sha256);
  if (token === undefined) {
    return planReissue(snapshot, active, mint);
  }
  if (active.expiresAt !== expiresAt) return step({ do: 'SetExpiry', sha256: active.sha256, expiresAt });
  const desired = tokenSecret(object, appId, relayUrl, token);
  if (secret.kind !== 'ours' || !satisfies(secret.secret, desired)) return step({ do: 'ApplySecret', secret: desired });
  const [stray] = strays;
  if (stray !== undefined) return step({ do: 'DeleteSecret', secret: stray });
  return settledPlan(snapshot, spec, active);
}

/** No Secret holds the active token: a new one. */
function planReissue(
  { object, rows, now }: TokenSnapshot,
  active: TokenRow,
  mint: Pick<MintToken, 'appId' | 'environment' | 'policy' | 'expiresAt'>,
): TokenPlan {
  // The status names a token only once it is in its Secret. Of another object's (a rebuilt cluster) nobody can say who has it.
  const handedOut = active.objectUid !== object.metadata.uid || object.status?.tokenId === active.id;
  const lost = { sha256: active.sha256, handedOut };
  // The operator was killed before it could hand it out: nobody has it.
  if (!handedOut) return step({ do: 'MintToken', mint: { ...mint, retire: [], revoke: [active.sha256] }, lost });
  // A deleted Secret is repaired, not a kill switch: the old one works on for whoever has read it.
  const until = Math.min(now + OVERLAP_MS, active.expiresAt ?? Number.POSITIVE_INFINITY);
  const tooMany = rows.filter((row) => row.state === 'Retiring').slice(MOST_RETIRING - 1);
  const replace = { retire: [{ sha256: active.sha256, until }], revoke: tooMany.map((row) => row.sha256) };
  return step({ do: 'MintToken', mint: { ...mint, ...replace }, lost });
}

function planRevoked(snapshot: TokenSnapshot): TokenPlan {
  const { object, rows, secret, strays, relayUrl } = snapshot;
  const hashes = live(rows).map((row) => row.sha256);
  if (hashes.length > 0) return step({ do: 'RevokeTokens', hashes, reason: 'spec.revoked' });
  if (secret.kind === 'ours') {
    const desired = tokenSecret(object, secret.secret.data['RELAY_APP_ID'] ?? '', relayUrl, undefined);
    if (!satisfies(secret.secret, desired)) return step({ do: 'ApplySecret', secret: desired });
  }
  const [stray] = strays;
  if (stray !== undefined) return step({ do: 'DeleteSecret', secret: stray });
  return revokedPlan(snapshot);
}

function planRemoval(snapshot: TokenSnapshot): TokenPlan {
  const ending = live(snapshot.rows);
  if (ending.length > 0) {
    const revoke = { do: 'RevokeTokens', hashes: ending.map((row) => row.sha256), reason: 'deleted' } as const;
    const { uid } = snapshot.object.metadata;
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
