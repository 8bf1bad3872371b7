import type { CertificateRow } from '../registry/certificate-registry.ts';

/** In the directory. */
export function live(rows: readonly CertificateRow[]): readonly CertificateRow[] {
  return rows.filter(({ state }) => state === 'Active' || state === 'Retiring');
}

/** The row that changed last, of those that work and those that this very object ended: what `Enforced` speaks of. */
export function newest(rows: readonly CertificateRow[], uid: string): CertificateRow | undefined {
  return rows
    .filter((row) => row.objectUid === uid || row.state === 'Active' || row.state === 'Retiring')
    .reduce<CertificateRow | undefined>(
      (last, row) => (last === undefined || row.revision > last.revision ? row : last),
      undefined,
    );
}
