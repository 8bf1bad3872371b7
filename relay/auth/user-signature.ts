import type { AppKey } from '../directory/directory.ts';
import { keySignatureHolds } from './key-signature.ts';

/** Whether `auth` (`KEY:hex`) signs this socket in: HMAC-SHA256 over `socket_id::user::user_data` (pusher-protocol: Signatures), by a key that verifies `now` (epoch ms). */
export function userSignatureHolds(
  auth: string,
  signed: { readonly socketId: string; readonly userData: string },
  keys: readonly AppKey[],
  now: number,
): boolean {
  return keySignatureHolds(auth, `${signed.socketId}::user::${signed.userData}`, keys, now);
}
