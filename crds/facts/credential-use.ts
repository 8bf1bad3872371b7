import { z } from 'zod';
import { CLIENT_NAME } from './client-name.ts';

/** Most credentials that one report names. */
export const MOST_USES = 500;

const epochMs = z.int().min(0);

/** That a credential let somebody in at one relay since it was last told of. */
export const credentialUseFact = z.object({
  appId: z.string().min(1).max(200),
  /** Of an app key its id, of a token the public part, of a client certificate its fingerprint. */
  credential: z.string().min(1).max(200),
  /** The last time, by the relay's clock. */
  at: epochMs,
  /** Requests and connects since the last report; 0: nothing but sockets that are still open. */
  requests: z.int().min(0),
  client: z.string().regex(CLIENT_NAME).nullable(),
});
export type CredentialUseFact = Readonly<z.infer<typeof credentialUseFact>>;
