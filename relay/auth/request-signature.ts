import { hash } from 'node:crypto';
import { equalHexDigests } from './constant-time.ts';
import type { AppKey } from '../directory/directory.ts';
import { findKey } from './app-key.ts';

/** Seconds that a signature's timestamp may lie off the relay's clock, either way. */
export const SIGNATURE_WINDOW_SECONDS = 600;

export type SignedRequest = {
  readonly method: string;
  /** As sent, before any decoding: it is what the SDK signed. */
  readonly path: string;
  readonly parameters: readonly QueryParameter[];
  readonly body: Buffer;
};
export type QueryParameter = readonly [name: string, value: string];

export type SignatureFault =
  | 'key_unknown'
  | 'signature_invalid'
  | 'signature_version_unsupported'
  | 'signature_expired'
  | 'body_digest_invalid'
  | 'parameter_duplicated';

/** Has nothing to unescape, as nearly every signed query: splitting is then all there is to do, and the parser of URLs costs ten times that. */
const PLAIN_QUERY = /^(?!\?)[\x21-\x24\x26-\x2a\x2c-\x7e]*$/;

/** Splits a query string the way the signature needs it: names lower-cased, values unescaped, order kept. */
export function parseQuery(query: string): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  if (PLAIN_QUERY.test(query)) {
    for (const part of query.split('&')) {
      if (part === '') continue;
      const mark = part.indexOf('=');
      if (mark < 0) parameters.push([part.toLowerCase(), '']);
      else parameters.push([part.slice(0, mark).toLowerCase(), part.slice(mark + 1)]);
    }
    return parameters;
  }
  for (const [name, value] of new URLSearchParams(query)) parameters.push([name.toLowerCase(), value]);
  return parameters;
}

/**
 * Verifies Pusher's request signature (HTTP API reference, "Authentication"): HMAC-SHA256, hex, over
 * `METHOD\npath\nname=value&…` with parameters sorted and `auth_signature` left out. Which key signed is said by `auth_key`; every
 * active key of the app counts. Returns what is wrong, or undefined.
 * @param now epoch milliseconds
 */
export function requestSignatureFault(
  request: SignedRequest,
  keys: readonly AppKey[],
  now: number,
): SignatureFault | undefined {
  const sorted = request.parameters.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const value = (name: string): string | undefined => sorted.find(([n]) => n === name)?.[1];
  // A second `auth_key` or `body_md5` would let the signed and the used value differ.
  if (sorted.some(([name], at) => name === sorted[at - 1]?.[0])) return 'parameter_duplicated';
  const key = findKey(keys, value('auth_key') ?? '');
  if (key === undefined) return 'key_unknown';
  if (value('auth_version') !== '1.0') return 'signature_version_unsupported';
  const signature = value('auth_signature') ?? '';
  if (!equalHexDigests(sign(request, sorted, key), signature)) return 'signature_invalid';
  const timestamp = value('auth_timestamp') ?? '';
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > SIGNATURE_WINDOW_SECONDS) {
    return 'signature_expired';
  }
  return bodyDigestHolds(request.body, value('body_md5')) ? undefined : 'body_digest_invalid';
}

function sign(request: SignedRequest, sorted: readonly QueryParameter[], key: AppKey): string {
  let query = '';
  for (const [name, value] of sorted) {
    if (name !== 'auth_signature') query += `${query === '' ? '' : '&'}${name}=${value}`;
  }
  const text = `${request.method.toUpperCase()}\n${request.path}\n${query}`;
  return key.signingKey.sign(text);
}

/**
 * Required with a body. Without one it may be absent, and is checked when it is there: the PyPI SDK sends the digest of the empty
 * string on every GET.
 */
function bodyDigestHolds(body: Buffer, digest: string | undefined): boolean {
  if (digest === undefined) return body.length === 0;
  // No secret is compared here, and the signature over the digest has been verified.
  return hash('md5', body) === digest;
}
