import { channelSignatureHolds } from '../auth/channel-signature.ts';
import { readBoundAuth } from '../auth/token-bound.ts';
import type { App } from '../directory/directory.ts';
import { parseChannelName, serverToUserChannel, type Channel } from './channel-name.ts';
import type { ClientMessage } from './client-message.ts';
import type { SubscriptionRefusal } from './subscription.ts';
import { parseChannelData, USER_INFO_TOO_LARGE, type PresenceIdentity, type User } from './user-data.ts';

export type SubscriptionRequestFacts = {
  readonly request: Extract<ClientMessage, { type: 'subscribe' }>;
  readonly socketId: string;
  readonly app: Pick<App, 'keys' | 'channels'>;
  /** The RelayToken that a token of the app belongs to, by its public part; undefined: none, or none that is let in now. */
  readonly relayTokenOf: (tokenId: string) => string | undefined;
  /** Who the socket is signed in as. */
  readonly user: User | undefined;
  /** Channels that it has or is joining, this one not counted, and how many it may have. */
  readonly subscriptions: number;
  readonly maxSubscriptions: number;
  /** Epoch milliseconds. */
  readonly now: number;
};

export type SubscriptionVerdict =
  | {
      readonly channel: Channel;
      readonly member: PresenceIdentity | undefined;
      /** The RelayToken that it was signed for with; the subscription lives no longer than that. */
      readonly relayToken?: string | undefined;
    }
  | { readonly refusal: SubscriptionRefusal };

/** Whether a socket may subscribe, and as whom (pusher-protocol: Channels, Signatures). Whether there is room in the channel shows later. */
export function judgeSubscription(facts: SubscriptionRequestFacts): SubscriptionVerdict {
  const { request, app, user } = facts;
  const channel = parseChannelName(request.channel);
  if ('fault' in channel) return refuse('InvalidChannel', channel.message, 400);
  if (facts.subscriptions >= facts.maxSubscriptions) {
    return refuse('LimitReached', `A connection has at most ${facts.maxSubscriptions} subscriptions`, 403);
  }
  if (channel.kind === 'public') return { channel, member: undefined };
  if (channel.kind === 'user') {
    // pusher-js sends an empty auth here: it is the sign-in that counts.
    if (user !== undefined && channel.name === serverToUserChannel(user.id)) return { channel, member: undefined };
    return refuse('AuthError', `Not signed in as the user of channel ${channel.name}`, 401);
  }
  if (channel.kind === 'encrypted' && !app.channels.encrypted) {
    return refuse('NotServed', 'Encrypted channels are not enabled for this app', 403);
  }
  const signer = signerOf(facts);
  if (signer === undefined) return refuse('AuthError', `Invalid signature for channel ${channel.name}`, 401);
  const relayToken = signer.tokenId === undefined ? undefined : facts.relayTokenOf(signer.tokenId);
  if (signer.tokenId !== undefined && relayToken === undefined)
    return refuse('AuthError', `The token that signed for channel ${channel.name} was revoked or has expired`, 401);
  if (channel.kind !== 'presence') return { channel, member: undefined, relayToken };
  const member = identity(request.channelData, user);
  return 'fault' in member ? refuse('InvalidChannelData', member.fault, 400) : { channel, member, relayToken };
}

/** Who has signed: somebody with the app's secret, or one with this token; undefined: the signature does not hold. */
function signerOf({
  request: { auth, channel, channelData },
  socketId,
  app,
  now,
}: SubscriptionRequestFacts): { readonly tokenId: string | undefined } | undefined {
  if (auth === undefined) return undefined;
  const { signature, tokenId } = readBoundAuth(auth);
  const holds = channelSignatureHolds(signature, { socketId, channel, channelData, tokenId }, app.keys, now);
  return holds ? { tokenId } : undefined;
}

/** A socket that is signed in need not say again who it is. */
function identity(
  channelData: string | undefined,
  user: User | undefined,
): PresenceIdentity | { readonly fault: string } {
  if (channelData !== undefined) return parseChannelData(channelData);
  if (user === undefined) return { fault: 'A presence subscription needs channel_data, or a sign-in before it' };
  return user.info === undefined ? { fault: USER_INFO_TOO_LARGE } : { userId: user.id, info: user.info };
}

function refuse(
  type: SubscriptionRefusal['type'],
  message: string,
  status: SubscriptionRefusal['status'],
): SubscriptionVerdict {
  return { refusal: { type, message, status } };
}
