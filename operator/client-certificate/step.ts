import type { ClientCertificateStatus } from '#crds/client-certificate.ts';
import type { Announcement, Announcements } from '../notifications/announcement.ts';
import type { Plan } from '../reconcile/plan.ts';
import type { CertificateRow, RegisterCertificate } from '../registry/certificate-registry.ts';
import type { DesiredCertificate, StoredCertificate } from '../world/cert-manager.ts';
import type { ObjectRef } from '../world/object-ref.ts';

/** One effect. `apply.ts` carries it out, and then everything is observed and planned again. */
export type CertificateStep =
  | { readonly do: 'AddFinalizer' }
  | { readonly do: 'RegisterCertificate'; readonly register: RegisterCertificate }
  | {
      readonly do: 'EndCertificates';
      readonly rows: readonly Pick<CertificateRow, 'appId' | 'sha256'>[];
      readonly state: 'Revoked' | 'Ended';
      readonly reason: string;
      readonly announce?: Announcements;
    }
  /** What comes by the clock alone. */
  | { readonly do: 'Announce'; readonly announcement: Announcement }
  | { readonly do: 'ApplyCertificate'; readonly certificate: DesiredCertificate }
  | {
      readonly do: 'DeleteCertificate';
      readonly certificate: Pick<StoredCertificate, 'namespace' | 'name' | 'uid'>;
    }
  /** Of cert-manager, for our Certificate: it issues another one if that Certificate is still there. */
  | { readonly do: 'DeleteIssuedSecret'; readonly secret: ObjectRef & { readonly uid: string } }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

export type CertificatePlan = Plan<CertificateStep, ClientCertificateStatus>;
