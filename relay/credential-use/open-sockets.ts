import type { Directory } from '../directory/directory.ts';
import { newestOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

/** The sockets of this replica, as far as their keys are concerned. */
export type OpenSockets = {
  apps(): Iterable<string>;
  ofApp(appId: string): Iterable<{ readonly key: string; readonly client: string | undefined }>;
};

/** An open socket uses the key that it came with for as long as it is open, although it never says so again. */
export function useOfOpenSockets(
  sockets: OpenSockets,
  directory: Directory,
): (uses: CredentialUses, now: number) => void {
  return (uses, now) => {
    for (const appId of sockets.apps()) {
      const keys = directory.appById(appId)?.keys ?? [];
      const texts = new Set(keys.map(({ key }) => key));
      for (const { key, client } of sockets.ofApp(appId)) {
        // Nearly always the first socket is of the one key that there is, and the thousands behind it are not looked at.
        if (texts.size === 0) break;
        if (!texts.delete(key)) continue;
        const credential = newestOf(keys, key);
        if (credential !== undefined) uses.use(appId, credential, client, 0, now);
      }
    }
  };
}
