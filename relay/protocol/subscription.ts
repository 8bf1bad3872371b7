import { errorMessage, subscriptionError, subscriptionSucceeded } from './server-message.ts';

/**
 * One channel of one connection. `joining` lasts until the bus has the channel: an event published after the client saw
 * `subscription_succeeded`, at whichever replica, reaches it.
 */
export type SubscriptionState = 'none' | 'joining' | 'subscribed';

/** Why a subscription is refused; `status` as an auth endpoint would have answered. */
export type SubscriptionRefusal = {
  readonly type: 'AuthError' | 'InvalidChannel' | 'InvalidChannelData' | 'NotServed' | 'LimitReached' | 'SecretFound';
  readonly message: string;
  readonly status: 400 | 401 | 403 | 422;
};

export type SubscriptionEvent =
  | { readonly type: 'requested' }
  | { readonly type: 'refused'; readonly refusal: SubscriptionRefusal }
  /**
   * The bus delivers the channel now (or is away, and local events alone arrive until it is back), and its members know this one.
   * `data` is that of `subscription_succeeded`.
   */
  | { readonly type: 'joined'; readonly data: string }
  /** What had to be done to join came to a refusal: the channel is full. */
  | { readonly type: 'failed'; readonly refusal: SubscriptionRefusal }
  | { readonly type: 'unsubscribe' }
  | { readonly type: 'connectionClosed' };

export type SubscriptionEffect =
  | { readonly do: 'send'; readonly text: string }
  /** Get the channel from bus, members and cache, then report `joined` or `failed`. */
  | { readonly do: 'join' }
  /** From now on events are delivered to this connection; never before it was told of its success. */
  | { readonly do: 'attach' }
  | { readonly do: 'leave' };

export type SubscriptionStep = { readonly state: SubscriptionState; readonly effects: readonly SubscriptionEffect[] };

type EventOf<T extends SubscriptionEvent['type']> = Extract<SubscriptionEvent, { type: T }>;
type Row = {
  readonly [T in SubscriptionEvent['type']]: (event: EventOf<T>, channel: string) => SubscriptionStep;
};

const to = (state: SubscriptionState, ...effects: readonly SubscriptionEffect[]): SubscriptionStep => ({
  state,
  effects,
});
const send = (text: string): SubscriptionEffect => ({ do: 'send', text });

const told = (refusal: SubscriptionRefusal, channel: string): readonly SubscriptionEffect[] => [
  send(errorMessage(null, refusal.message)),
  send(subscriptionError(channel, refusal.type, refusal.message, refusal.status)),
];
const refusedIn =
  (state: SubscriptionState) =>
  ({ refusal }: EventOf<'refused'>, channel: string): SubscriptionStep =>
    to(state, ...told(refusal, channel));
const existing =
  (state: SubscriptionState) =>
  (_event: unknown, channel: string): SubscriptionStep =>
    to(state, send(errorMessage(null, `Existing subscription to channel ${channel}`)));

const table: { readonly [S in SubscriptionState]: Row } = {
  none: {
    requested: () => to('joining', { do: 'join' }),
    refused: refusedIn('none'),
    joined: () => to('none'),
    failed: () => to('none'),
    unsubscribe: () => to('none'),
    connectionClosed: () => to('none'),
  },
  joining: {
    requested: existing('joining'),
    refused: refusedIn('joining'),
    joined: ({ data }, channel) => to('subscribed', send(subscriptionSucceeded(channel, data)), { do: 'attach' }),
    failed: ({ refusal }, channel) => to('none', { do: 'leave' }, ...told(refusal, channel)),
    unsubscribe: () => to('none', { do: 'leave' }),
    connectionClosed: () => to('none', { do: 'leave' }),
  },
  subscribed: {
    requested: existing('subscribed'),
    refused: refusedIn('subscribed'),
    joined: () => to('subscribed'),
    failed: () => to('subscribed'),
    unsubscribe: () => to('none', { do: 'leave' }),
    connectionClosed: () => to('none', { do: 'leave' }),
  },
};

export function stepSubscription(
  state: SubscriptionState,
  event: SubscriptionEvent,
  channel: string,
): SubscriptionStep {
  const handler = table[state][event.type] as (event: SubscriptionEvent, channel: string) => SubscriptionStep;
  return handler(event, channel);
}
