import type { RelayKind } from '#crds/relay-object.ts';
import type { ObjectRef } from './object-ref.ts';

/** The object that a Secret belongs to; deleting it deletes the Secret (garbage collection, or the folder's own). */
export type Owner = { readonly kind: RelayKind; readonly name: string; readonly uid: string };

/** A Secret as stored, `data` decoded. */
export type StoredSecret = ObjectRef & {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absent when nothing owns it. */
  readonly owner: Owner | undefined;
  readonly data: Readonly<Record<string, string>>;
};

/** A Secret as it shall be. Keys of `data` that are not named here are removed if they are ours. */
export type DesiredSecret = ObjectRef & {
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly owner: Owner;
  readonly data: Readonly<Record<string, string>>;
};

/** A Secret that an object refers to, and whether it may be used for that. */
export type ReferencedSecret =
  | { readonly kind: 'absent' }
  /** Somebody's, without the label `relay-operator.dev/referable: "true"`. Its data is not even looked at. */
  | { readonly kind: 'notReferable' }
  /** Written by this operator: never referable, whatever its labels, because a RelayApp's template chooses them. */
  | { readonly kind: 'ours' }
  | { readonly kind: 'referable'; readonly data: Readonly<Record<string, string>> };

/**
 * Where credentials are handed out. Implementations MUST NOT change a Secret that another one owns or that is of another type, even
 * when it appears between look and write: they throw a quiet TransientError.
 */
export interface Secrets {
  /** Every Secret of this owner, from a cache of the Secrets that carry our label. */
  ownedBy(uid: string): readonly StoredSecret[];
  /** From the cache, else a live look: tells "absent" from "somebody else's". */
  read(ref: ObjectRef): Promise<StoredSecret | undefined>;
  /** Always a live look: before anything that cannot be undone. */
  readLive(ref: ObjectRef): Promise<StoredSecret | undefined>;
  /** A Secret that an object refers to: from a cache of those that carry the label, else a live look. */
  readReferenced(ref: ObjectRef): Promise<ReferencedSecret>;
  /** Creates it, or makes it what it shall be whoever changed it. */
  apply(desired: DesiredSecret): Promise<void>;
  /**
   * Creates it and never changes one that is there, not even an own one: of two that stage a credential at once, one does. The other is told
   * by a quiet TransientError.
   */
  create(desired: DesiredSecret): Promise<void>;
  /** As `apply`, but only while it is as the caller saw it; a quiet TransientError when somebody wrote it meanwhile, or deleted it. */
  replace(seen: StoredSecret, desired: DesiredSecret): Promise<void>;
  /** Guarded by the UID of what the caller saw; an absent Secret is a success. */
  delete(secret: ObjectRef & Pick<StoredSecret, 'uid'>): Promise<void>;
}
