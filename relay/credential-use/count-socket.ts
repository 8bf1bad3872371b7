import type { PresentedCertificate } from '../access/presented-certificate.ts';
import { readBoundAuth } from '../auth/token-bound.ts';
import type { AppKey, Directory } from '../directory/directory.ts';
import { registrationOf } from '../gate/visit.ts';
import { certificateOf, credentialOfSignature, newestOf } from './credential-of.ts';
import type { CredentialUses } from './use-tally.ts';

type Parts = {
  readonly directory: Directory;
  readonly credentialUses: CredentialUses;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

type Connected = {
  readonly appId: string;
  readonly key: string;
  readonly client: string | undefined;
  readonly certificate: PresentedCertificate | undefined;
};

/** A socket that the gate has admitted, by the key and the certificate that it came with. */
export function countConnect(parts: Parts, { appId, key, client, certificate }: Connected): void {
  const { directory, credentialUses } = parts;
  const app = directory.appById(appId);
  const now = parts.wallClock();
  const credential = newestOf(app?.keys ?? [], key);
  if (credential !== undefined) credentialUses.use(appId, credential, client, 1, now);
  const presented = certificateOf(app, registrationOf(directory, app, certificate));
  if (presented !== undefined) credentialUses.use(appId, presented, client, 1, now);
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
