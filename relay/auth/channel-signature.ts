import type { AppKey } from '../directory/directory.ts';
import { keySignatureHolds } from './key-signature.ts';

/**
 * Whether `auth` (`KEY:hex`) lets this socket into the channel: HMAC-SHA256 over `socket_id:channel`, and `:channel_data` when the
 * client sent any, on a private channel too (pusher-protocol: Signatures). Any key of the app verifies that does now.
 * @param now epoch milliseconds
 */
export function channelSignatureHolds(
  auth: string,
  signed: { readonly socketId: string; readonly channel: string; readonly channelData: string | undefined },
  keys: readonly AppKey[],
  now: number,
): boolean {
  const tail = signed.channelData === undefined ? '' : `:${signed.channelData}`;
  return keySignatureHolds(auth, `${signed.socketId}:${signed.channel}${tail}`, keys, now);
}
