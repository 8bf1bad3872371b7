/**
 * How an event reaches the subscribers at other replicas. A relay delivers to its own sockets itself; the bus is for everybody else.
 *
 * An adapter MUST
 * - hand a message to every *other* replica that subscribes to the channel, at most once, and never to its own (what the store itself
 *   publishes, origin {@link STORE_ORIGIN}, goes to all);
 * - keep the order of one publisher's messages on one channel;
 * - count subscriptions: the n-th `subscribe` of a channel needs the n-th `unsubscribe` before interest ends;
 * - refuse what does not parse as an envelope (bus/envelope.ts): the transport is not trusted;
 * - subscribe again by itself to all it subscribed to when the transport comes back;
 * - keep apps apart: a channel belongs to one app.
 *
 * An adapter MUST NOT
 * - throw or reject because the transport is away: `publish` says `local`, `subscribe` says `degraded`, within `PATIENCE_MS`;
 * - store messages for later: a bus is not a queue, and late events are worse than none;
 * - parse the payload.
 */
export interface Bus extends AsyncDisposable {
  publish(appId: string, channels: readonly string[], message: BusMessage): Promise<Reach>;
  /** Resolves when messages of the channel arrive here, or when the transport is away (it will subscribe when that is back). */
  subscribe(appId: string, channel: string): Promise<'subscribed' | 'degraded'>;
  unsubscribe(appId: string, channel: string): void;
}

/** `everywhere`: the transport took the message. `local`: it is away, or did not answer in time; other replicas may not get it. */
export type Reach = 'everywhere' | 'local';

/** For subscribers: framed and written to their sockets. */
export type EventMessage = {
  readonly kind: 'event';
  /** The socket that must not get the event: the one that triggered it. */
  readonly exceptSocketId: string | undefined;
  /** `eventTail` of protocol/server-message.ts: everything of the frame but its channel. */
  readonly tail: Buffer;
};

/** For the replicas themselves; no socket ever sees it. bus/signals.ts reads it. */
export type SignalMessage = { readonly kind: 'signal'; readonly text: string };

export type BusMessage = EventMessage | SignalMessage;

/** Called once for each message and channel. Must not throw. */
export type BusListener = (appId: string, channel: string, message: BusMessage) => void;

/** Origin of what a script of the store publishes: it belongs to no replica, so every replica takes it. */
export const STORE_ORIGIN = '-';

/** The longest that a publisher or a subscriber waits for the transport, in milliseconds. */
export const PATIENCE_MS = 1_000;
