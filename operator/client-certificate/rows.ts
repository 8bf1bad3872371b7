import type { ClientCertificate } from '#crds/client-certificate.ts';
import type { CertificateRow } from '../registry/certificate-registry.ts';

/** In the directory. */
export function live(rows: readonly CertificateRow[]): readonly CertificateRow[] {
  return rows.filter(({ state }) => state === 'Active' || state === 'Retiring');
}

/**
 * The row that changed last, of those that work and those that this very object ended: what `Enforced` speaks of. A revoked object speaks for
 * what objects of its name before it ended, too: a relay may not have heard of that yet.
 */
export function newest(
  rows: readonly CertificateRow[],
  { metadata, spec }: Pick<ClientCertificate, 'metadata' | 'spec'>,
): CertificateRow | undefined {
  const told = rows.filter((row) => spec.revoked === true || row.objectUid === metadata.uid || live([row]).length > 0);
  return told.reduce<CertificateRow | undefined>(
    (last, row) => (last === undefined || row.revision > last.revision ? row : last),
    undefined,
  );
}
