import type { TokenRow } from '../registry/token-registry.ts';

/** In the directory. */
export function live(rows: readonly TokenRow[]): readonly TokenRow[] {
  return rows.filter((row) => row.state !== 'Revoked');
}

/** The row that changed last: what `Enforced` speaks of. */
export function newest(rows: readonly TokenRow[]): TokenRow | undefined {
  return rows.reduce<TokenRow | undefined>(
    (last, row) => (last === undefined || row.revision > last.revision ? row : last),
    undefined,
  );
}
