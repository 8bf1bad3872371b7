import { readBoundAuth } from '../auth/token-bound.ts';
import type { AppKey, Directory } from '../directory/directory.ts';
import { credentialOfSignature, newestOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

type Parts = {
  readonly directory: Directory;
  readonly credentialUses: CredentialUses;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

/** A socket that the gate has admitted, by the key that it came with. */
export function countConnect(
  parts: Parts,
  { appId, key, client }: { readonly appId: string; readonly key: string; readonly client: string | undefined },
): void {
  const credential = newestOf(keysOf(parts, appId), key);
  if (credential !== undefined) parts.credentialUses.use(appId, credential, client, 1, parts.wallClock());
}

/**
 * A signature, `KEY:hex`, that let a socket into a channel or signed it in. Some backend made it, which the socket's library is not. One that was
 * made here, for a token's caller, is no use of a key: the relay takes the oldest, which would never be found unused.
 * @param holds whether it does with this key alone
 */
export function countSignature(parts: Parts, appId: string, auth: string, holds: (key: AppKey) => boolean): void {
  if (readBoundAuth(auth).tokenId !== undefined) return;
  const credential = credentialOfSignature(keysOf(parts, appId), auth, holds);
  if (credential !== undefined) parts.credentialUses.use(appId, credential, undefined, 1, parts.wallClock());
}

const keysOf = ({ directory }: Parts, appId: string): readonly AppKey[] => directory.appById(appId)?.keys ?? [];
