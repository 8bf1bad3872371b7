import type { AppKey } from '../directory/directory.ts';
import { findKey } from './app-key.ts';
import { equalHexDigests } from './constant-time.ts';

/** Whether `auth` (`KEY:hex`) is the HMAC-SHA256 of `text` by that key of the app. Any active key verifies (pusher-protocol: Signatures). */
export function keySignatureHolds(auth: string, text: string, keys: readonly AppKey[]): boolean {
  const colon = auth.indexOf(':');
  const key = findKey(keys, auth.slice(0, Math.max(colon, 0)));
  if (key === undefined) return false;
  const expected = key.signingKey.sign(text);
  return equalHexDigests(expected, auth.slice(colon + 1));
}
