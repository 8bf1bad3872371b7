import type { AppKey } from '../directory/directory.ts';
import { findKeys } from './app-key.ts';
import { equalHexDigests } from './constant-time.ts';

/**
 * Whether `auth` (`KEY:hex`) is the HMAC-SHA256 of `text` by that key of the app (pusher-protocol: Signatures). Any key verifies that does now,
 * and of several with this public part each.
 * @param now epoch milliseconds
 */
export function keySignatureHolds(auth: string, text: string, keys: readonly AppKey[], now: number): boolean {
  const colon = auth.indexOf(':');
  const signature = auth.slice(colon + 1);
  return findKeys(keys, auth.slice(0, Math.max(colon, 0)), now).some(({ signingKey }) =>
    equalHexDigests(signingKey.sign(text), signature),
  );
}
