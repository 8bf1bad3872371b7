import type { DefaultedIssue } from '#crds/client-certificate.ts';
import type { ObjectRef } from './object-ref.ts';

/** A cert-manager Certificate as a ClientCertificate wants it: what it declares, and whose it is. It has the ClientCertificate's name. */
export type DesiredCertificate = ObjectRef & {
  /** UID of the ClientCertificate. */
  readonly ownerUid: string;
  readonly issue: DefaultedIssue;
};

/** What cert-manager says is in the way. */
export type Trouble = {
  /** cert-manager has given up on this attempt: a person must change something. */
  readonly failed: boolean;
  /** In cert-manager's own words. */
  readonly message: string;
};

/** A cert-manager Certificate as stored. */
export type StoredCertificate = ObjectRef & {
  readonly uid: string;
  /** UID of the ClientCertificate that owns it; undefined: somebody else's. */
  readonly ownerUid: string | undefined;
  /** Epoch ms. */
  readonly createdAt: number;
  /** What it asks for; undefined: something else than any ClientCertificate would. */
  readonly issue: DefaultedIssue | undefined;
  /** cert-manager vouches for the Secret, as of the present spec. */
  readonly ready: boolean;
  /** Of the certificate in the Secret, epoch ms; null: none was issued yet. */
  readonly notAfter: number | null;
  readonly trouble: Trouble | null;
};

export type CertManagerState =
  | { readonly kind: 'ready' }
  /** Its kinds are served, its objects not listed yet. */
  | { readonly kind: 'starting' }
  /** `message` says what to do. */
  | { readonly kind: 'missing'; readonly message: string };

/**
 * cert-manager, as far as a ClientCertificate with `issue` needs it. Without it everything else works, and it may come and go at any time.
 * Implementations MUST NOT change a Certificate that another object owns: they throw a quiet TransientError.
 */
export interface CertManager {
  state(): CertManagerState;
  /** One of ours, as last seen, own writes included; undefined also while `state` is not ready. Never a network call. */
  find(ref: ObjectRef): StoredCertificate | undefined;
  /** The same, else a live look: tells "absent" from "somebody else's". */
  look(ref: ObjectRef): Promise<StoredCertificate | undefined>;
  apply(desired: DesiredCertificate): Promise<void>;
  /** Guarded by the UID of what the caller saw; an absent one is a success. Its Secret stays. */
  delete(certificate: Pick<StoredCertificate, 'namespace' | 'name' | 'uid'>): Promise<void>;
}

/** On a Secret that cert-manager wrote: for which Certificate. */
export const CERTIFICATE_NAME_ANNOTATION = 'cert-manager.io/certificate-name';
