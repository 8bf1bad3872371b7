import type { AppEntryBody, WebhookEndpointBody } from '#crds/directory/entry-body.ts';
import type { Secret } from '#crds/keyring.ts';
import type { Rate } from '#crds/rate.ts';
import type { Environment } from '#crds/token-format.ts';
import type { ObjectRef } from '../world/object-ref.ts';

/**
 * What the directory says of an app besides its keys: the declared part, compared on every reconcile. Stored in plain, so nothing secret is in
 * it. A row of an earlier version lacks the fields that are new since: it differs from what is declared, and is updated for that.
 */
export type AppPolicy = Pick<
  AppEntryBody,
  'enabled' | 'authentication' | 'access' | 'limits' | 'channels' | 'secretScanning'
> & {
  readonly webhooks: readonly WebhookPolicy[];
};
export type WebhookPolicy = Omit<WebhookEndpointBody, 'headers'>;

/** The extra headers of webhooks that have some, by webhook name: each a JSON object, its keys sorted. */
export type WebhookHeaders = ReadonlyMap<string, Secret>;

export type AppKey = { readonly id: string; readonly key: string; readonly secret: Secret; readonly createdAt: string };

/**
 * Active: in the directory. Retained: its object was deleted with `Retain`; the next object of the same identity takes it back by itself.
 * Deleted: only an explicit `appId` takes it back, until it is purged after 7 days.
 */
export type AppRow = {
  readonly appId: string;
  readonly objectUid: string;
  readonly state: 'Active' | 'Retained' | 'Deleted';
  readonly policy: AppPolicy;
  readonly webhookHeaders: WebhookHeaders;
  /** Oldest first. */
  readonly keys: readonly AppKey[];
  /** Directory revision of the last change of its entry, removal included, and when that was (epoch ms). */
  readonly revision: number;
  readonly changedAt: number;
};

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

/** Who is acting, for the audit log: the object that was reconciled and its UID. */
export type Subject = ObjectRef & { readonly uid: string };

/**
 * The durable truth (PostgreSQL). Every method that changes something is one transaction: registry rows, audit row and outbox row, fenced
 * by the directory's term. Identity is (installation, namespace, name); the installation belongs to the implementation.
 */
export interface Registry {
  /** The app of this identity that matters now: the Active one, else the one last retired by the object with this UID. */
  findApp(ref: ObjectRef, uid: string): Promise<AppRow | undefined>;
  /** A retired app of this identity that a new object takes back: by id, or without one the newest Retained. */
  findRetiredApp(ref: ObjectRef, appId: string | undefined): Promise<AppRow | undefined>;
  /** Mints id and key. */
  registerApp(subject: Subject, policy: AppPolicy, headers: WebhookHeaders): Promise<void>;
  takeBackApp(subject: Subject, appId: string, policy: AppPolicy, headers: WebhookHeaders): Promise<void>;
  updateApp(subject: Subject, appId: string, policy: AppPolicy, headers: WebhookHeaders): Promise<void>;
  /** Records a new object's UID for an app that stayed Active (a rebuilt cluster). Nothing is published. */
  rebindApp(subject: Subject, appId: string): Promise<void>;
  retireApp(subject: Subject, appId: string, policy: 'Delete' | 'Retain'): Promise<void>;
  /** Apps deleted before `before` (epoch ms) and all that belongs to them are removed for good. Returns their ids. */
  purgeApps(before: number): Promise<readonly string[]>;

  /** The Active and Retiring tokens of this identity, and the Revoked ones that the object with this UID was responsible for; newest first. */
  findTokens(ref: ObjectRef, uid: string): Promise<readonly TokenRow[]>;
  /** Mints the Active token, and retires and revokes others with the same revision. Returns the plain token, which is stored nowhere. */
  mintToken(subject: Subject, mint: MintToken): Promise<Secret>;
  setTokenExpiry(subject: Subject, sha256: string, expiresAt: number | null): Promise<void>;
  setTokenPolicy(subject: Subject, hashes: readonly string[], policy: TokenPolicy): Promise<void>;
  revokeTokens(subject: Subject, hashes: readonly string[], reason: string): Promise<void>;
}
