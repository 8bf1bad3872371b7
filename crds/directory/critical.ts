import type { EntryChange } from './entry-body.ts';

/**
 * Fields of a body that a relay must know how to enforce, else it keeps the entry that it had and says so (directory.md, rule 8). Critical is
 * what a relay of an earlier version would be too generous without: a token's scopes, a rate, who gets in, what must not pass; and several secrets under one public key, of which it would refuse all but the first,
 * so that a rotation waits for its update. Not critical are a webhook (it would not be sent), the
 * switches and limits of presence, encrypted and cache channels (such a relay serves none of them), counts and watchlists (nor these),
 * and the end of a key: such a relay verifies it until the operator takes it out, and were it to reject the entry it would do so for longer.
 */
export const KNOWN_CRITICAL: ReadonlySet<string> = new Set([
  'scopes',
  'rate',
  'ipAllowlist',
  'origins',
  'countries',
  'clientCertificates',
  'secretScanning',
  'sharedKeys',
]);

/** What the signer of this change lists in `crit`. */
export function criticalFields({ body }: EntryChange): string[] {
  if (body === null) return [];
  return Object.entries(restrictionsOf(body)).flatMap(([field, value]) =>
    value === null || value === undefined ? [] : [field],
  );
}

function restrictionsOf(body: Exclude<EntryChange['body'], null>): Readonly<Record<string, unknown>> {
  if ('environment' in body) return { scopes: body.scopes, rate: body.rate };
  // A certificate only lets in, and only a relay that knows the whole kind takes it up.
  if (!('limits' in body)) return {};
  const { clientCertificatesRequired = false, ...access } = body.access ?? {};
  return {
    rate: body.limits.rate,
    secretScanning: body.secretScanning,
    ...access,
    clientCertificates: clientCertificatesRequired ? true : null,
    sharedKeys: new Set(body.keys.map(({ key }) => key)).size < body.keys.length ? true : null,
  };
}
