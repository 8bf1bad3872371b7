import type { AppKey } from '../directory/directory.ts';

/** `KEY:hex` for a subscription: HMAC-SHA256 over `socket_id:channel`, and `:channel_data` when there is any (pusher-protocol: Signatures). */
export function signChannel(
  key: AppKey,
  signed: { readonly socketId: string; readonly channel: string; readonly channelData: string | undefined },
): string {
  const tail = signed.channelData === undefined ? '' : `:${signed.channelData}`;
  return sign(key, `${signed.socketId}:${signed.channel}${tail}`);
}

/** `KEY:hex` for a sign-in: over `socket_id::user::user_data` (pusher-protocol: Signatures). */
export function signUser(key: AppKey, socketId: string, userData: string): string {
  return sign(key, `${socketId}::user::${userData}`);
}

function sign(key: AppKey, text: string): string {
  return `${key.key}:${key.signingKey.sign(text)}`;
}
