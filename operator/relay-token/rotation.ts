import type { RelayToken } from '#crds/relay-token.ts';
import type { TokenRotation } from '#crds/token-rotation.ts';
import { REASON } from '#crds/conditions.ts';
import type { PromoteToken, TokenRow } from '../registry/token-registry.ts';
import { judgeRotateRequest, requestedRotation, type RotateRequest } from '../rotation/rotate-request.ts';
import { nextRotation } from '../rotation/schedule.ts';
import type { StoredSecret } from '../world/secrets.ts';
import { findToken, tokenSecret } from './secret.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenStep } from './step.ts';

/** When the next token is due, epoch ms; Infinity: never by itself. */
export function dueOf({ activatedAt, createdAt, id }: TokenRow, rotation: TokenRotation, now: number): number {
  if (!rotation.automatic) return Number.POSITIVE_INFINITY;
  return nextRotation({ activatedAt: activatedAt ?? createdAt, interval: rotation.interval, id }, now);
}

/** Whether the annotation asks for another token than the present one. */
export function rotationRequest({ metadata, status }: RelayToken, { rotateRequest }: TokenRow): RotateRequest {
  return judgeRotateRequest(metadata, { registry: rotateRequest, status: status?.handledRequests?.rotate });
}

/** Whether the next one is to be made now: it is asked for, or it is time. */
export function isRotationDue(object: RelayToken, active: TokenRow, rotation: TokenRotation, now: number): boolean {
  return rotationRequest(object, active).kind === 'rotate' || dueOf(active, rotation, now) <= now;
}

type Handover = {
  readonly snapshot: TokenSnapshot;
  readonly appId: string;
  readonly active: TokenRow;
  readonly pending: TokenRow | undefined;
  /** The Secret in which the next token waits, or whatever is in its place. */
  readonly staged: StoredSecret | undefined;
  /** No Secret holds the active token any more: the next one is better than none. */
  readonly lost: boolean;
  /** What becomes of the others once it has taken their place. */
  readonly retire: Pick<PromoteToken, 'retire' | 'revoke'>;
};

/**
 * The next step of a rotation that has begun, which is one that has a Pending token: staged → known to every relay → in the Secret → Active. undefined: none has begun. `wait`: for the relays. Each step is told by what is there, so that one that was cut off is found again.
 */
export function planHandover({
  snapshot,
  appId,
  active,
  pending,
  staged,
  retire,
  lost,
}: Handover): TokenStep | 'wait' | undefined {
  if (pending === undefined) return undefined;
  const { object, secret, relayUrl, now } = snapshot;
  if (findToken(whereReadersLook(snapshot, staged), pending.sha256) !== undefined) {
    const rotateRequest = requestedRotation(object.metadata) ?? pending.rotateRequest ?? active.rotateRequest;
    return { do: 'PromoteToken', promote: { sha256: pending.sha256, at: now, rotateRequest, ...retire } };
  }
  const token = staged === undefined ? undefined : findToken([staged], pending.sha256);
  // Killed before it could be staged, or what was staged is gone.
  if (token === undefined) return { do: 'DropStaged', sha256: pending.sha256 };
  if (!lost && !isKnownToRelays(snapshot)) return 'wait';
  const desired = tokenSecret(object, appId, relayUrl, token);
  return secret.kind === 'ours'
    ? { do: 'HandOut', over: secret.secret, secret: desired }
    : { do: 'ApplySecret', secret: desired };
}

/** The Secret, and the one of the name before, as long as it is there: whoever read it has what was in it. */
function whereReadersLook(
  { object, secret, strays }: TokenSnapshot,
  staged: StoredSecret | undefined,
): readonly StoredSecret[] {
  const former = strays.filter((stray) => stray !== staged && stray.name === object.status?.secretName);
  return secret.kind === 'ours' ? [secret.secret, ...former] : former;
}

/** No reader may ever hold a token that a relay refuses. Where no relay is, none does. */
function isKnownToRelays({ enforced }: TokenSnapshot): boolean {
  return enforced?.status === 'True' || enforced?.reason === REASON.NoReplicas;
}
