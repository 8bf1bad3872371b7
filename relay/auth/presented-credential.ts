import { tokenHash } from '#crds/token-format.ts';
import type { QueryParameter } from './request-signature.ts';

/** What a caller presents to prove who it is, before anyone has looked whether it is true. */
export type PresentedCredential =
  | { readonly method: 'none' }
  /** An Authorization header of another scheme than Bearer. */
  | { readonly method: 'otherScheme' }
  /** `sha256`: of whatever was sent, lower-case hex. */
  | { readonly method: 'bearer'; readonly sha256: string }
  | { readonly method: 'keyAndSecret'; readonly key: string; readonly secret: string }
  | { readonly method: 'signature'; readonly key: string }
  /** A WebSocket client knows the app's public key and nothing else. */
  | { readonly method: 'publicKey'; readonly key: string }
  /** More than one of them: which one counts must not be a matter of order. */
  | { readonly method: 'ambiguous' };

export type CredentialHeaders = {
  readonly authorization: string | undefined;
  readonly relayKey: string | undefined;
  readonly relaySecret: string | undefined;
};

/** Reads headers and query of an HTTP request. Never logs, never throws. */
export function presentedCredential(
  headers: CredentialHeaders,
  parameters: readonly QueryParameter[],
): PresentedCredential {
  const found: PresentedCredential[] = [];
  if (headers.authorization !== undefined) found.push(authorized(headers.authorization));
  if (headers.relayKey !== undefined || headers.relaySecret !== undefined) {
    found.push({ method: 'keyAndSecret', key: headers.relayKey ?? '', secret: headers.relaySecret ?? '' });
  }
  const signed = signatureOf(parameters);
  if (signed !== undefined) found.push(signed);
  const [first, ...others] = found;
  if (first === undefined) return { method: 'none' };
  return others.length === 0 ? first : { method: 'ambiguous' };
}

/** Of two keys the first; that they are two is refused once the signature is looked at. */
function signatureOf(parameters: readonly QueryParameter[]): PresentedCredential | undefined {
  let key: string | undefined;
  let isSigned = false;
  for (const [name, value] of parameters) {
    if (name === 'auth_key') key ??= value;
    else if (name === 'auth_signature') isSigned = true;
  }
  return key !== undefined || isSigned ? { method: 'signature', key: key ?? '' } : undefined;
}

/**
 * `Bearer` in any case (RFC 9110, 11.1). Whatever stands behind it is hashed and looked up, also what cannot be a token: a token that was
 * never issued, one that was revoked and a misspelt one are told apart neither by the answer nor by what is done for it.
 */
function authorized(header: string): PresentedCredential {
  const text = header.trim();
  const space = text.indexOf(' ');
  const scheme = space < 0 ? text : text.slice(0, space);
  if (scheme.length !== BEARER.length || scheme.toLowerCase() !== BEARER) return { method: 'otherScheme' };
  return { method: 'bearer', sha256: tokenHash(text.slice(BEARER.length).trimStart()) };
}

const BEARER = 'bearer';
