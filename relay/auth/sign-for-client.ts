import type { AppKey } from '../directory/directory.ts';
import type { SignedChannel } from './channel-signature.ts';
import { boundText, writeBoundAuth } from './token-bound.ts';
import type { SignedUser } from './user-signature.ts';

/**
 * `KEY:hex` for a subscription: HMAC-SHA256 over `socket_id:channel`, and `:channel_data` when there is any (pusher-protocol: Signatures);
 * for a bearer token's caller `KEY:hex.TOKENID` (token-bound.ts).
 */
export function signChannel(key: AppKey, { socketId, channel, channelData, tokenId }: SignedChannel): string {
  const tail = channelData === undefined ? '' : `:${channelData}`;
  return sign(key, `${socketId}:${channel}${tail}`, tokenId);
}

/** The same for a sign-in: over `socket_id::user::user_data` (pusher-protocol: Signatures). */
export function signUser(key: AppKey, { socketId, userData, tokenId }: SignedUser): string {
  return sign(key, `${socketId}::user::${userData}`, tokenId);
}

function sign(key: AppKey, text: string, tokenId: string | undefined): string {
  const signature = `${key.key}:${key.signingKey.sign(boundText(tokenId, text))}`;
  return writeBoundAuth({ signature, tokenId });
}
