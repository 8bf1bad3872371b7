import type { AppKey } from '../directory/directory.ts';
import { keySignatureHolds } from './key-signature.ts';
import { boundText } from './token-bound.ts';

export type SignedUser = {
  readonly socketId: string;
  readonly userData: string;
  /** Of the bearer token that asked for the signature (token-bound.ts). */
  readonly tokenId?: string | undefined;
};

/** Whether `auth` (`KEY:hex`) signs this socket in: HMAC-SHA256 over `socket_id::user::user_data` (pusher-protocol: Signatures), by a key that verifies `now` (epoch ms). */
export function userSignatureHolds(auth: string, signed: SignedUser, keys: readonly AppKey[], now: number): boolean {
  return keySignatureHolds(auth, boundText(signed.tokenId, `${signed.socketId}::user::${signed.userData}`), keys, now);
}
