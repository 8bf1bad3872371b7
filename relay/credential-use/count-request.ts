import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../directory/directory.ts';
import type { HttpVisit } from '../gate/visit.ts';
import { certificateOf, credentialOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

/** A request that the gate has admitted. */
export function countRequest(uses: CredentialUses, app: App, visit: HttpVisit, headers: IncomingHttpHeaders): void {
  const credential = credentialOf(visit);
  if (credential !== undefined) uses.request(app.appId, credential, headers, visit.now);
  const certificate = certificateOf(app, visit.registration);
  if (certificate !== undefined) uses.request(app.appId, certificate, headers, visit.now);
}
