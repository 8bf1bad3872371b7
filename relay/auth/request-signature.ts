import { hash } from 'node:crypto';
import { equalHexDigests } from './constant-time.ts';
import type { AppKey } from '../directory/directory.ts';
import { findKeys } from './app-key.ts';

/** Seconds that a signature's timestamp may lie off the relay's clock, either way. */
export const SIGNATURE_WINDOW_SECONDS = 600;

export type SignedRequest = {
  readonly method: string;
  /** As sent, before any decoding: it is what the SDK signed. */
  readonly path: string;
  readonly parameters: readonly QueryParameter[];
};
export type QueryParameter = readonly [name: string, value: string];

export type SignatureFault =
  | 'key_unknown'
  | 'signature_invalid'
  | 'signature_version_unsupported'
  | 'signature_expired'
  | 'parameter_duplicated';

/** Splits a query string the way the signature needs it: names lower-cased, values unescaped, order kept. */
export function parseQuery(query: string): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  // Nothing to unescape, as in nearly every signed query: splitting is then all there is to do, at a tenth of what a URL parser costs.
  if (!query.includes('%') && !query.includes('+') && !query.startsWith('?')) {
    // Looked for anew only when it is passed: else a query of nothing but `&` would be read to its end for each of them.
    let mark = query.indexOf('=');
    for (let from = 0; from < query.length;) {
      const found = query.indexOf('&', from);
      const end = found < 0 ? query.length : found;
      if (mark >= 0 && mark < from) mark = query.indexOf('=', from);
      if (mark >= 0 && mark < end) parameters.push([query.slice(from, mark).toLowerCase(), query.slice(mark + 1, end)]);
      else if (end > from) parameters.push([query.slice(from, end).toLowerCase(), '']);
      from = end + 1;
    }
    return parameters;
  }
  for (const [name, value] of new URLSearchParams(query)) parameters.push([name.toLowerCase(), value]);
  return parameters;
}

/**
 * Verifies Pusher's request signature (HTTP API reference, "Authentication"): HMAC-SHA256, hex, over
 * `METHOD\npath\nname=value&…` with parameters sorted and `auth_signature` left out. Which key signed is said by `auth_key`; every
 * key of the app counts that verifies now, and of several with this public part each. Returns what is wrong, or undefined. The body is signed by
 * its digest among the parameters ({@link bodyDigestHolds}), so who has no secret is known before a byte of it is read.
 * @param now epoch milliseconds
 */
export function requestSignatureFault(
  request: SignedRequest,
  keys: readonly AppKey[],
  now: number,
): SignatureFault | undefined {
  // The SDKs send them sorted.
  const read = readSorted(request.parameters) ?? readSorted(sortedByName(request.parameters));
  if (read === undefined) return 'parameter_duplicated';
  const { authKey, version, timestamp, signature, signed } = read;
  const candidates = findKeys(keys, authKey, now);
  if (candidates.length === 0) return 'key_unknown';
  if (version !== '1.0') return 'signature_version_unsupported';
  const text = `${request.method.toUpperCase()}\n${request.path}\n${signed}`;
  const verified = candidates.some(({ signingKey }) => equalHexDigests(signingKey.sign(text), signature));
  if (!verified) return 'signature_invalid';
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > SIGNATURE_WINDOW_SECONDS) {
    return 'signature_expired';
  }
  return undefined;
}

type SignatureParameters = {
  readonly authKey: string;
  readonly version: string;
  readonly timestamp: string;
  readonly signature: string;
  /** What was signed of the query. */
  readonly signed: string;
};

/**
 * In one pass, because this is most of what a publish costs before it is known to be one. undefined: a name does not come after the one
 * before it, but for the signature, which the SDKs put last. A second `auth_key` or `body_md5` would let the signed and the used value differ.
 */
function readSorted(parameters: readonly QueryParameter[]): SignatureParameters | undefined {
  let authKey = '';
  let version = '';
  let timestamp = '';
  let signature: string | undefined;
  let signed = '';
  let before = '';
  for (const [name, value] of parameters) {
    if (name === 'auth_signature') {
      if (signature !== undefined) return undefined;
      signature = value;
      continue;
    }
    if (signed === '') signed = `${name}=${value}`;
    else {
      if (name <= before) return undefined;
      signed += `&${name}=${value}`;
    }
    before = name;
    if (name === 'auth_key') authKey = value;
    else if (name === 'auth_version') version = value;
    else if (name === 'auth_timestamp') timestamp = value;
  }
  return { authKey, version, timestamp, signature: signature ?? '', signed };
}

/** In code unit order, as the SDKs sort. */
function sortedByName(parameters: readonly QueryParameter[]): readonly QueryParameter[] {
  return parameters.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * Whether this is the body that was signed: `body_md5` is required with one. Without one it may be absent, and is checked when it is there: the
 * PyPI SDK sends the digest of the empty string on every GET.
 * @param parameters whose signature holds, so none of them stands twice.
 */
export function bodyDigestHolds(body: Buffer, parameters: readonly QueryParameter[]): boolean {
  const digest = parameters.find(([name]) => name === 'body_md5')?.[1];
  if (digest === undefined) return body.length === 0;
  // No secret is compared here, and the signature over the digest has been verified.
  return hash('md5', body) === digest;
}
