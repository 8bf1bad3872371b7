import type { EntryChange } from './entry-body.ts';

/**
 * Fields of a body that a relay must know how to enforce, else it keeps the entry that it had and says so (directory.md, rule 8). Critical is
 * what a relay of an earlier version would be too generous without: a token's scopes. Not critical are a webhook (it would not be sent), the
 * switches and limits of presence, encrypted and cache channels (such a relay serves none of them), counts and watchlists (nor these).
 */
export const KNOWN_CRITICAL: ReadonlySet<string> = new Set(['scopes']);

/** What the signer of this change lists in `crit`. */
export function criticalFields({ key, body }: EntryChange): string[] {
  if (body === null || !key.startsWith('token/')) return [];
  return 'scopes' in body && body.scopes !== null && body.scopes !== undefined ? ['scopes'] : [];
}
