import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { Enforced } from '../directory/enforcement.ts';
import type { AppReference } from '../reconcile/app-reference.ts';
import type { CertificateHolder, CertificateRow } from '../registry/certificate-registry.ts';
import type { CredentialUse } from '../registry/credential-use.ts';
import type { CertManagerState, StoredCertificate } from '../world/cert-manager.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Presented, Unusable } from './presented.ts';

/** The Secret of a wanted name, where cert-manager writes. Its private key is never looked at. */
export type IssuedSecret =
  | { readonly kind: 'absent' }
  /** cert-manager wrote it for our Certificate. */
  | { readonly kind: 'ours'; readonly uid: string; readonly presented: Presented | Unusable }
  | { readonly kind: 'foreign' };

/** What is left of `issue` in the world. */
export type Issuance = {
  readonly certManager: CertManagerState;
  /** ALLOWED_ISSUERS lets this issuer sign. */
  readonly allowed: boolean;
  /** The Certificate of this object's name, whoever owns it. */
  readonly certificate: StoredCertificate | undefined;
  /** Of the name that `issue` wants; absent without `issue`. */
  readonly secret: IssuedSecret;
  /** Secrets that cert-manager wrote for our Certificate and that nobody wants any more, where the status remembers one. */
  readonly strays: readonly (ObjectRef & { readonly uid: string })[];
};

/** All that `planCertificate` decides from, gathered at one moment by `observe.ts`. */
export type CertificateSnapshot = {
  /** Epoch ms. */
  readonly now: number;
  readonly object: ClientCertificate;
  readonly app: AppReference;
  /** The rows of this identity, as the registry gives them. */
  readonly rows: readonly CertificateRow[];
  /** What the spec names; with `issue` what cert-manager has issued, undefined before that. */
  readonly presented: Presented | Unusable | undefined;
  /** The other object of this app that has the presented fingerprint. */
  readonly holder: CertificateHolder | undefined;
  readonly issuance: Issuance;
  /** Who uses which certificate, by fingerprint; asked only of those that are over or about to go. */
  readonly uses: Readonly<Record<string, CredentialUse>>;
  /** Mail addresses: `spec.rotation.notify` of its app. */
  readonly notify: readonly string[];
  /** Keys of the occasions that are due by the clock and were announced before (notifications/occasion.ts). */
  readonly announced: readonly string[];
  /** Of the newest revision among the rows; absent without rows. */
  readonly enforced: Enforced | undefined;
};
