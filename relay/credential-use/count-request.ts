import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../directory/directory.ts';
import type { HttpVisit } from '../gate/visit.ts';
import { credentialOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

/** A request that the gate has admitted. */
export function countRequest(
  uses: CredentialUses,
  { appId }: App,
  visit: HttpVisit,
  headers: IncomingHttpHeaders,
): void {
  const credential = credentialOf(visit);
  if (credential !== undefined) uses.request(appId, credential, headers, visit.now);
}
