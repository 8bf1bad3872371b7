import { asksForCertificate } from '../access/app-access.ts';
import { equalInConstantTime } from '../auth/constant-time.ts';
import { requestSignatureFault } from '../auth/request-signature.ts';
import type { App, AppKey, ClientCertificate, Token } from '../directory/directory.ts';
import type { HttpVisit } from '../gate/visit.ts';

type AdmittedRequest = Pick<HttpVisit, 'credential' | 'method' | 'path' | 'parameters' | 'now'> & {
  readonly app: Pick<App, 'keys'> | undefined;
  readonly token: Pick<Token, 'id'> | undefined;
};

/**
 * Which credential let a request in, by its id: of the token, or of the app key. Ask only what the gate has admitted. While a secret is
 * rotated two keys share one public text, and only the one that verifies is in use; with one, which is nearly always, nothing is computed.
 */
export function credentialOf(visit: AdmittedRequest): string | undefined {
  const { credential, app, token } = visit;
  const keys = app?.keys ?? [];
  switch (credential.method) {
    case 'bearer':
      return token?.id;
    case 'keyAndSecret': {
      if (!isShared(keys, credential.key)) return newestOf(keys, credential.key);
      const { secret } = credential;
      return verifying(keys, credential.key, (key) => equalInConstantTime(key.secret.reveal(), secret));
    }
    case 'signature':
      if (!isShared(keys, credential.key)) return newestOf(keys, credential.key);
      return verifying(keys, credential.key, (key) => requestSignatureFault(visit, [key], visit.now) === undefined);
    case 'none':
    case 'publicKey':
    case 'ambiguous':
    case 'otherScheme':
      return undefined;
  }
}

/**
 * Which key made a signature at a socket, `KEY:hex`, that was found to hold.
 * @param holds whether it does with this key alone
 */
export function credentialOfSignature(
  keys: readonly AppKey[],
  auth: string,
  holds: (key: AppKey) => boolean,
): string | undefined {
  const key = auth.slice(0, Math.max(auth.indexOf(':'), 0));
  return isShared(keys, key) ? verifying(keys, key, holds) : newestOf(keys, key);
}

/** A socket shows the public text and no secret, so it keeps none of the older secrets in use. */
export function newestOf(keys: readonly AppKey[], key: string): string | undefined {
  for (let at = keys.length - 1; at >= 0; at -= 1) if (keys[at]?.key === key) return keys[at]?.id;
  return undefined;
}

/** Which certificate let somebody in beside their credential, by its fingerprint; an app that asks for none is entered without. */
export function certificateOf(
  app: Pick<App, 'access'> | undefined,
  registration: Pick<ClientCertificate, 'sha256'> | undefined,
): string | undefined {
  return asksForCertificate(app?.access) ? registration?.sha256 : undefined;
}

function verifying(keys: readonly AppKey[], key: string, holds: (key: AppKey) => boolean): string | undefined {
  return keys.find((candidate) => candidate.key === key && holds(candidate))?.id;
}

function isShared(keys: readonly AppKey[], key: string): boolean {
  let found = 0;
  for (const candidate of keys) if (candidate.key === key) found += 1;
  return found > 1;
}
