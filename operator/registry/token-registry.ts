import type { Secret } from '#crds/keyring.ts';
import type { Rate } from '#crds/rate.ts';
import type { Environment } from '#crds/token-format.ts';
import type { Announcements } from '../notifications/announcement.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Subject } from './subject.ts';

/** What a token may do, and how much. */
export type TokenPolicy = {
  /** Sorted; null: everything. */
  readonly scopes: readonly string[] | null;
  /** Its own budget; null: it draws on the app's. */
  readonly rate: Rate | null;
};

/**
 * Pending: published, so that relays accept it, and not handed out yet. Active: in its Secret. Retiring: replaced, accepted until its end.
 * Ending: the same, and found unused, so that its end is put off no more. Expired: over, whatever a relay's clock says; in the directory only
 * for the relays to say so. Revoked: not in the directory, and forgotten a month later.
 */
export type TokenState = 'Pending' | 'Active' | 'Retiring' | 'Ending' | 'Expired' | 'Revoked';

/** Epoch ms. */
export type TokenEnd = {
  /** null: no end. */
  readonly expiresAt: number | null;
  /** Accepted until then after `expiresAt`, with a header that says so; null: no grace. */
  readonly graceUntil: number | null;
};

export type TokenRow = TokenEnd & {
  readonly sha256: string;
  readonly id: string;
  readonly appId: string;
  readonly objectUid: string;
  readonly environment: Environment;
  /** What the relays shall enforce for it. */
  readonly policy: TokenPolicy;
  readonly state: TokenState;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Since when it is the one in the Secret, epoch ms; the same as `createdAt` for one that was never Pending. null: not yet. */
  readonly activatedAt: number | null;
  /** When its successor was handed out, epoch ms; null: it has none. */
  readonly retiringAt: number | null;
  /** The value of the annotation relay-operator.dev/rotate that was acted on, or only seen, when it came to be; null: there was none. */
  readonly rotateRequest: string | null;
  readonly revision: number;
  readonly changedAt: number;
};

/** A token that is replaced, and until when it goes on working. */
export type RetireToken = TokenEnd & { readonly sha256: string };

type Replacing = {
  /** When it took its place, epoch ms: from then on the overlap counts. */
  readonly at: number;
  readonly rotateRequest: string | null;
  /** Tokens that it replaces. */
  readonly retire: readonly RetireToken[];
  /** Tokens that stop working with this change. */
  readonly revoke: readonly string[];
  readonly announce?: Announcements;
};

export type MintToken = Replacing & {
  readonly state: 'Pending' | 'Active';
  readonly appId: string;
  readonly environment: Environment;
  readonly policy: TokenPolicy;
  readonly expiresAt: number | null;
};

export type PromoteToken = Replacing & { readonly sha256: string };

/** The bearer tokens of the registry (registry.ts). */
export interface TokenRegistry {
  /**
   * The tokens of this identity that are in the directory, newest first, and behind them the Revoked ones that the object with this UID was
   * responsible for (without a UID: whichever was), the last revoked first. At most 100: whatever comes to be revoked never hides what works.
   */
  findTokens(ref: ObjectRef, uid: string | undefined): Promise<readonly TokenRow[]>;
  /**
   * Mints a token, and retires and revokes others with the same revision. Returns the plain token, which is stored nowhere. What was revoked more
   * than 30 days ago is forgotten.
   */
  mintToken(subject: Subject, mint: MintToken): Promise<Secret>;
  /** The Pending token becomes the Active one, and the others go their way with the same revision. Does nothing when it is not Pending (any more). */
  promoteToken(subject: Subject, promote: PromoteToken): Promise<void>;
  /** `final`: a Retiring one is Ending from now on. Publishes only what relays have to know. */
  setTokenEnd(
    subject: Subject,
    sha256: string,
    end: TokenEnd & { readonly final: boolean; readonly announce?: Announcements },
  ): Promise<void>;
  /** Retired tokens whose time is over. */
  expireTokens(subject: Subject, hashes: readonly string[], announce?: Announcements): Promise<void>;
  /** Notes that the annotation was acted on. Publishes nothing. */
  recordRotateRequest(subject: Subject, sha256: string, value: string): Promise<void>;
  setTokenPolicy(subject: Subject, hashes: readonly string[], policy: TokenPolicy): Promise<void>;
  revokeTokens(subject: Subject, hashes: readonly string[], reason: string, announce?: Announcements): Promise<void>;
}
