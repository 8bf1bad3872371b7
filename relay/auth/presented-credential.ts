import { parseToken, tokenHash } from '#crds/token-format.ts';
import type { QueryParameter } from './request-signature.ts';

/** What a caller presents to prove who it is, before anyone has looked whether it is true. */
export type PresentedCredential =
  | { readonly method: 'none' }
  /** An Authorization header of another scheme than Bearer. */
  | { readonly method: 'otherScheme' }
  /** `sha256` is undefined for a text that is no token at all (a wrong checksum included). */
  | { readonly method: 'bearer'; readonly sha256: string | undefined }
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
  const authKey = parameters.find(([name]) => name === 'auth_key');
  const signature = parameters.find(([name]) => name === 'auth_signature');
  if (authKey !== undefined || signature !== undefined) found.push({ method: 'signature', key: authKey?.[1] ?? '' });
  const [first, ...others] = found;
  if (first === undefined) return { method: 'none' };
  return others.length === 0 ? first : { method: 'ambiguous' };
}

/** `Bearer` in any case (RFC 9110, 11.1). The checksum is tested first: a typo costs no directory look-up. */
function authorized(header: string): PresentedCredential {
  const [, scheme, token] = /^(\S*) *(.*)$/s.exec(header.trim()) ?? [];
  if (scheme?.toLowerCase() !== 'bearer') return { method: 'otherScheme' };
  const isToken = token !== undefined && parseToken(token) !== undefined;
  return { method: 'bearer', sha256: isToken ? tokenHash(token) : undefined };
}
