import type { AppKey } from '../directory/directory.ts';
import { keySignatureHolds } from './key-signature.ts';
import { boundText } from './token-bound.ts';

export type SignedChannel = {
  readonly socketId: string;
  readonly channel: string;
  readonly channelData: string | undefined;
  /** Of the bearer token that asked for the signature (token-bound.ts). */
  readonly tokenId?: string | undefined;
};

/**
 * Whether `auth` (`KEY:hex`) lets this socket into the channel: HMAC-SHA256 over `socket_id:channel`, and `:channel_data` when the
 * client sent any, on a private channel too (pusher-protocol: Signatures). Any key of the app verifies that does now.
 * @param now epoch milliseconds
 */
export function channelSignatureHolds(
  auth: string,
  signed: SignedChannel,
  keys: readonly AppKey[],
  now: number,
): boolean {
  const tail = signed.channelData === undefined ? '' : `:${signed.channelData}`;
  return keySignatureHolds(auth, boundText(signed.tokenId, `${signed.socketId}:${signed.channel}${tail}`), keys, now);
}
