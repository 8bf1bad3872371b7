import { createHmac } from 'node:crypto';
import { equalHexDigests } from './constant-time.ts';
import type { AppKey } from '../directory/directory.ts';
import { findKey } from './app-key.ts';

/**
 * Whether `auth` (`KEY:hex`) lets this socket into the channel: HMAC-SHA256 over `socket_id:channel`, and `:channel_data` when the
 * client sent any, on a private channel too (pusher-protocol: Signatures). Any active key of the app verifies.
 */
export function channelSignatureHolds(
  auth: string,
  signed: { readonly socketId: string; readonly channel: string; readonly channelData: string | undefined },
  keys: readonly AppKey[],
): boolean {
  const colon = auth.indexOf(':');
  const key = findKey(keys, auth.slice(0, Math.max(colon, 0)));
  if (key === undefined) return false;
  const tail = signed.channelData === undefined ? '' : `:${signed.channelData}`;
  const text = `${signed.socketId}:${signed.channel}${tail}`;
  const expected = createHmac('sha256', key.signingKey).update(text).digest('hex');
  return equalHexDigests(expected, auth.slice(colon + 1));
}
