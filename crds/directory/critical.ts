import type { EntryChange } from './entry-body.ts';

/**
 * Fields of a body that a relay must know how to enforce, else it keeps the entry that it had and says so (directory.md, rule 8). Critical is
 * what a relay of an earlier version would be too generous without: a token's scopes, a rate, who gets in, what must not pass. Not critical are a webhook (it would not be sent), the
 * switches and limits of presence, encrypted and cache channels (such a relay serves none of them), counts and watchlists (nor these).
 */
export const KNOWN_CRITICAL: ReadonlySet<string> = new Set([
  'scopes',
  'rate',
  'ipAllowlist',
  'origins',
  'countries',
  'secretScanning',
]);

/** What the signer of this change lists in `crit`. */
export function criticalFields({ body }: EntryChange): string[] {
  if (body === null) return [];
  const restrictions =
    'limits' in body
      ? { rate: body.limits.rate, secretScanning: body.secretScanning, ...body.access }
      : { scopes: body.scopes, rate: body.rate };
  return Object.entries(restrictions).flatMap(([field, value]) =>
    value === null || value === undefined ? [] : [field],
  );
}
