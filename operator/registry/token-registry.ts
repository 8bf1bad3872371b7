import type { Secret } from '#crds/keyring.ts';
import type { Rate } from '#crds/rate.ts';
import type { Environment } from '#crds/token-format.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Subject } from './subject.ts';

/** What a token may do, and how much. */
export type TokenPolicy = {
  /** Sorted; null: everything. */
  readonly scopes: readonly string[] | null;
  /** Its own budget; null: it draws on the app's. */
  readonly rate: Rate | null;
};

/** Retiring: replaced, valid until `expiresAt`. Revoked: not in the directory; kept so that an old backup of a Secret cannot bring it back. */
export type TokenRow = {
  readonly sha256: string;
  readonly id: string;
  readonly appId: string;
  readonly objectUid: string;
  readonly environment: Environment;
  /** What the relays shall enforce for it. */
  readonly policy: TokenPolicy;
  readonly state: 'Active' | 'Retiring' | 'Revoked';
  /** Epoch ms; null: no end. */
  readonly expiresAt: number | null;
  readonly revision: number;
  readonly changedAt: number;
};

export type MintToken = {
  readonly appId: string;
  readonly environment: Environment;
  readonly policy: TokenPolicy;
  readonly expiresAt: number | null;
  /** Tokens that it replaces and that stay valid until the given time (epoch ms). */
  readonly retire: readonly { readonly sha256: string; readonly until: number }[];
  /** Tokens that stop working with this change. */
  readonly revoke: readonly string[];
};

/** The bearer tokens of the registry (registry.ts). */
export interface TokenRegistry {
  /** The Active and Retiring tokens of this identity, and the Revoked ones that the object with this UID was responsible for; newest first. */
  findTokens(ref: ObjectRef, uid: string): Promise<readonly TokenRow[]>;
  /** Mints the Active token, and retires and revokes others with the same revision. Returns the plain token, which is stored nowhere. */
  mintToken(subject: Subject, mint: MintToken): Promise<Secret>;
  setTokenExpiry(subject: Subject, sha256: string, expiresAt: number | null): Promise<void>;
  setTokenPolicy(subject: Subject, hashes: readonly string[], policy: TokenPolicy): Promise<void>;
  revokeTokens(subject: Subject, hashes: readonly string[], reason: string): Promise<void>;
}
