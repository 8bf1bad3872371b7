import type { Announcements } from '../notifications/announcement.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Subject } from './subject.ts';

/**
 * Active: what its object declares now. Retiring: replaced, valid until it ends by itself. Revoked: killed by its object, which keeps the
 * fingerprint to itself until it is deleted, so that no other object brings it back. Ended: no longer declared, and anybody's to declare.
 * Only the first two are in the directory. The others are kept until the certificate itself is over: `issue` must not take one up again.
 */
export type CertificateRow = {
  readonly appId: string;
  /** Of the certificate in DER: 64 hex digits in lower case. */
  readonly sha256: string;
  readonly objectUid: string;
  readonly state: 'Active' | 'Retiring' | 'Revoked' | 'Ended';
  /** Epoch ms; null: no end. */
  readonly notAfter: number | null;
  readonly revision: number;
  readonly changedAt: number;
};

/** The object that has a fingerprint, and whether relays accept it there. */
export type CertificateHolder = ObjectRef & { readonly state: 'Active' | 'Retiring' | 'Revoked' };

export type RegisterCertificate = {
  readonly appId: string;
  readonly sha256: string;
  readonly notAfter: number | null;
  /** Fingerprints that it replaces and that work on until they end by themselves. */
  readonly retire: readonly string[];
  /** Fingerprints that stop working with this change. */
  readonly end: readonly string[];
  readonly announce?: Announcements;
};

/** The client certificates of the registry (registry.ts). One fingerprint belongs to one object per app; apps do not know of each other. */
export interface CertificateRegistry {
  /** The rows of this identity: those in the directory, newest first, and behind them the others, the last ended first. At most 1000. */
  findCertificates(ref: ObjectRef): Promise<readonly CertificateRow[]>;
  /** The object that has this fingerprint in this app. */
  findCertificateHolder(appId: string, sha256: string): Promise<CertificateHolder | undefined>;
  /** Makes it Active, whatever it was, and ends or retires others with the same revision. Throws a quiet error when another object has it. */
  registerCertificate(subject: Subject, register: RegisterCertificate): Promise<void>;
  /** Takes live ones out of the directory; Revoked ones only change their state. */
  endCertificates(
    subject: Subject,
    rows: readonly Pick<CertificateRow, 'appId' | 'sha256'>[],
    state: 'Revoked' | 'Ended',
    reason: string,
    announce?: Announcements,
  ): Promise<void>;
}
