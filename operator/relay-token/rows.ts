import type { TokenEnd, TokenRow } from '../registry/token-registry.ts';

/** In the directory. */
export function live(rows: readonly TokenRow[]): readonly TokenRow[] {
  return rows.filter((row) => row.state !== 'Revoked');
}

/** Those that relays accept, or will. */
export function working(rows: readonly TokenRow[]): readonly TokenRow[] {
  return live(rows).filter((row) => row.state !== 'Expired');
}

/** Replaced, and accepted until their end. */
export function replaced(rows: readonly TokenRow[]): readonly TokenRow[] {
  return rows.filter((row) => row.state === 'Retiring' || row.state === 'Ending');
}

/** The row that changed last: what `Enforced` speaks of. */
export function newest(rows: readonly TokenRow[]): TokenRow | undefined {
  return rows.reduce<TokenRow | undefined>(
    (last, row) => (last === undefined || row.revision > last.revision ? row : last),
    undefined,
  );
}

/** Epoch ms; null: without end. */
export function acceptedUntil({ expiresAt, graceUntil }: TokenEnd): number | null {
  return expiresAt === null ? null : Math.max(expiresAt, graceUntil ?? 0);
}
