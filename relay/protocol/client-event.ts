import { ErrorCode } from './close-codes.ts';
import { parseChannelName } from './channel-name.ts';
import type { SubscriptionState } from './subscription.ts';

export type ClientEventFacts = {
  readonly channel: string;
  readonly data: string;
  /** What the sender is to the channel. */
  readonly subscription: SubscriptionState;
  readonly rules: { readonly clientEvents: boolean; readonly eventBytes: number; readonly perSecond: number };
};

export type ClientEventRefusal = { readonly code: number | null; readonly message: string };

/**
 * Whether a client event may pass (pusher-protocol: Channels). `takeToken` is asked last, so that only events that would have been
 * delivered use up the connection's rate.
 */
export function judgeClientEvent(facts: ClientEventFacts, takeToken: () => boolean): ClientEventRefusal | undefined {
  if (!facts.rules.clientEvents) return refuse('Client events are not enabled for this app');
  const channel = parseChannelName(facts.channel);
  if ('fault' in channel) return refuse(channel.message);
  // pusher-js cannot send them there either; what an app marks as encrypted must not get plain text from one of its clients.
  if (channel.kind === 'encrypted') return refuse('Client events are not supported on encrypted channels');
  if (channel.kind !== 'private' && channel.kind !== 'presence') {
    return refuse('Client events are allowed on private and presence channels only');
  }
  if (facts.subscription !== 'subscribed') return refuse(`Not subscribed to channel ${channel.name}`);
  if (Buffer.byteLength(facts.data) > facts.rules.eventBytes) {
    return refuse(`The data content of this event exceeds the allowed maximum (${facts.rules.eventBytes} bytes)`);
  }
  if (!takeToken()) {
    return {
      code: ErrorCode.clientEventRate,
      message: `Client event rejected: over ${facts.rules.perSecond} per second on this connection`,
    };
  }
  return undefined;
}

const refuse = (message: string): ClientEventRefusal => ({ code: null, message });
