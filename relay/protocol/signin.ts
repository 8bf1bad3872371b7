import { readBoundAuth } from '../auth/token-bound.ts';
import { userSignatureHolds } from '../auth/user-signature.ts';
import type { AppKey } from '../directory/directory.ts';
import { CloseCode, type Close } from './close-codes.ts';
import type { ClientMessage } from './client-message.ts';
import { parseUserData, type User } from './user-data.ts';

export type SigninFacts = {
  readonly request: Extract<ClientMessage, { type: 'signin' }>;
  readonly socketId: string;
  readonly keys: readonly AppKey[];
  /** As for subscriptions. */
  readonly relayTokenOf: (tokenId: string) => string | undefined;
  /** Who the socket is signed in as already. */
  readonly user: User | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
};

export type SigninVerdict = {
  readonly user: User;
  /** The RelayToken that it was signed for with; the connection lives no longer than that. */
  readonly relayToken: string | undefined;
};

/**
 * Who a socket signs in as, or how it is closed. A sign-in that fails ends the connection with 4009: pusher-js knows no other answer to
 * one and would wait for its success for ever. Signing in again is allowed as the same user only.
 */
export function judgeSignin({
  request: { auth, userData },
  socketId,
  keys,
  relayTokenOf,
  user,
  now,
}: SigninFacts): SigninVerdict | Close {
  const { signature, tokenId } = readBoundAuth(auth);
  if (!userSignatureHolds(signature, { socketId, userData, tokenId }, keys, now))
    return unauthorized('Invalid signature for sign-in');
  const relayToken = tokenId === undefined ? undefined : relayTokenOf(tokenId);
  if (tokenId !== undefined && relayToken === undefined)
    return unauthorized('The token that signed for this sign-in was revoked or has expired');
  const parsed = parseUserData(userData);
  if (parsed === undefined) return unauthorized('user_data must be JSON with an id of 1 to 128 characters');
  if (user !== undefined && user.id !== parsed.id) return unauthorized('Already signed in as another user');
  return { user: parsed, relayToken };
}

const unauthorized = (message: string): Close => ({ code: CloseCode.unauthorized, message });
