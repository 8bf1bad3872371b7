import { asksForCertificate } from '../access/app-access.ts';
import type { PresentedCertificate } from '../access/presented-certificate.ts';
import type { Directory } from '../directory/directory.ts';
import { registrationOf } from '../gate/visit.ts';
import { certificateOf, newestOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

type OpenSocket = {
  readonly key: string;
  readonly client: string | undefined;
  readonly certificate: PresentedCertificate | undefined;
};

/** The sockets of this replica, as far as their keys and certificates are concerned. */
export type OpenSockets = {
  apps(): Iterable<string>;
  ofApp(appId: string): Iterable<OpenSocket>;
};

/** An open socket uses the key and the certificate that it came with for as long as it is open, although it never says so again. */
export function useOfOpenSockets(
  sockets: OpenSockets,
  directory: Directory,
): (uses: CredentialUses, now: number) => void {
  return (uses, now) => {
    for (const appId of sockets.apps()) {
      const app = directory.appById(appId);
      const keys = app?.keys ?? [];
      const texts = new Set(keys.map(({ key }) => key));
      // Of certificates there may be as many as sockets: where an app asks for one, each socket is looked at.
      const asks = asksForCertificate(app?.access);
      const told = new Set<string>();
      for (const { key, client, certificate } of sockets.ofApp(appId)) {
        // Nearly always the first socket is of the one key that there is, and the thousands behind it are not looked at.
        if (texts.size === 0 && !asks) break;
        const credential = texts.delete(key) ? newestOf(keys, key) : undefined;
        if (credential !== undefined) uses.use(appId, credential, client, 0, now);
        const presented = asks ? certificateOf(app, registrationOf(directory, app, certificate)) : undefined;
        if (presented === undefined || told.has(presented)) continue;
        told.add(presented);
        uses.use(appId, presented, client, 0, now);
      }
    }
  };
}
