import { CloseCode, UNSUPPORTED_DATA, type Close } from './close-codes.ts';
import type { ClientMessage } from './client-message.ts';
import { connectionEstablished, errorMessage, PING, PONG } from './server-message.ts';

/**
 * One connection as a pure machine: `(state, event) → {state, effects}`. `server/socket.ts` runs the effects.
 *
 *   connecting ──admitted──► open ──activityTimeout──► awaitingPong ──pongTimeout──► closed
 *       │                     ▲  └──────── any traffic ◄───────┘                       ▲
 *       └──refused──► closed  └─ messages                 closeOrdered, peerClosed ────┘
 *
 * What a channel subscription does is the second machine, subscription.ts: this one only hands its messages on.
 */
export type ConnectionState =
  | { readonly phase: 'connecting' }
  | { readonly phase: 'open' }
  /** `since`: milliseconds on the caller's monotonic clock. */
  | { readonly phase: 'awaitingPong'; readonly since: number }
  | { readonly phase: 'closed' };

type Received = Exclude<ClientMessage, { type: 'clientEvent' }>;
type ClientEvent = Extract<ClientMessage, { type: 'clientEvent' }>;

export type ConnectionEvent =
  | { readonly type: 'admitted'; readonly socketId: string }
  | { readonly type: 'refused'; readonly close: Close }
  | Received
  | ClientEvent
  | { readonly type: 'binary' }
  /** A WebSocket ping or pong frame: liveness and nothing else. */
  | { readonly type: 'controlFrame' }
  | { readonly type: 'activityTimeout'; readonly now: number; readonly speaksPing: boolean }
  | { readonly type: 'pongTimeout'; readonly speaksPing: boolean }
  /** The relay wants this socket gone: a rule changed, the replica drains, the consumer is too slow. */
  | { readonly type: 'closeOrdered'; readonly close: Close }
  | { readonly type: 'peerClosed' };

export type ConnectionEffect =
  | { readonly do: 'send'; readonly text: string }
  | { readonly do: 'subscribe'; readonly request: Extract<ClientMessage, { type: 'subscribe' }> }
  | { readonly do: 'unsubscribe'; readonly channel: string }
  | { readonly do: 'signin'; readonly request: Extract<ClientMessage, { type: 'signin' }> }
  | { readonly do: 'clientEvent'; readonly message: ClientEvent }
  /** A ping frame of WebSocket, which clients answer below the protocol. */
  | { readonly do: 'pingFrame' }
  | { readonly do: 'close'; readonly code: number; readonly message: string }
  /** Leave every channel and every index. Once per connection: on the way into `closed`. */
  | { readonly do: 'release' };

export type ConnectionStep = { readonly state: ConnectionState; readonly effects: readonly ConnectionEffect[] };

/** Seconds without any traffic from the client before the relay asks; also told to the client. */
export const ACTIVITY_TIMEOUT_SECONDS = 120;
export const PONG_TIMEOUT_SECONDS = 30;

export const CONNECTING: ConnectionState = Object.freeze({ phase: 'connecting' });
const OPEN: ConnectionState = Object.freeze({ phase: 'open' });
const CLOSED: ConnectionState = Object.freeze({ phase: 'closed' });
const NONE: readonly ConnectionEffect[] = Object.freeze([]);

export type Phase = ConnectionState['phase'];
export type EventType = ConnectionEvent['type'];
type StateOf<P extends Phase> = Extract<ConnectionState, { phase: P }>;
type EventOf<T extends EventType> = Extract<ConnectionEvent, { type: T }>;
type Handler<P extends Phase, T extends EventType> = (event: EventOf<T>, state: StateOf<P>) => ConnectionStep;
/** A phase or an event without its row does not compile. */
type Table = { readonly [P in Phase]: { readonly [T in EventType]: Handler<P, T> } };

const stay = (_event: unknown, state: ConnectionState): ConnectionStep => ({ state, effects: NONE });
const open = (...effects: readonly ConnectionEffect[]): ConnectionStep => ({ state: OPEN, effects });

const closeWith = ({ close: { code, message } }: { readonly close: Close }): ConnectionStep => ({
  state: CLOSED,
  effects: [{ do: 'send', text: errorMessage(code, message) }, { do: 'close', code, message }, { do: 'release' }],
});
const released = (): ConnectionStep => ({ state: CLOSED, effects: [{ do: 'release' }] });

const noPong = closeWith({ close: { code: CloseCode.noPong, message: 'Pong reply not received in time' } });
const inactive = closeWith({
  close: {
    code: CloseCode.inactive,
    message: 'Closed after inactivity. From protocol 5 on clients are asked by pusher:ping',
  },
});
const notText: ConnectionStep = {
  state: CLOSED,
  effects: [
    { do: 'send', text: errorMessage(null, 'Binary frames are not part of the protocol') },
    { do: 'close', code: UNSUPPORTED_DATA, message: 'text frames only' },
    { do: 'release' },
  ],
};

/** Shared by `open` and `awaitingPong`: whatever a client sends proves that it lives. */
const traffic = {
  ping: () => open({ do: 'send', text: PONG }),
  pong: () => open(),
  controlFrame: () => open(),
  subscribe: (event) => open({ do: 'subscribe', request: event }),
  unsubscribe: (event) => open({ do: 'unsubscribe', channel: event.channel }),
  signin: (event) => open({ do: 'signin', request: event }),
  clientEvent: (event) => open({ do: 'clientEvent', message: event }),
  unsupported: (event) =>
    open({
      do: 'send',
      text: errorMessage(null, `Event ${JSON.stringify(event.event)} is not served by this version`),
    }),
  malformed: (event) => open({ do: 'send', text: errorMessage(null, `Invalid message: ${event.reason}`) }),
  binary: () => notText,
  closeOrdered: closeWith,
  peerClosed: released,
} satisfies { [T in EventType]?: (event: EventOf<T>) => ConnectionStep };

const table: Table = {
  // Nothing is promised to a client before connection_established, so what it sends until then is dropped.
  connecting: {
    admitted: (event) => open({ do: 'send', text: connectionEstablished(event.socketId, ACTIVITY_TIMEOUT_SECONDS) }),
    refused: closeWith,
    ping: stay,
    pong: stay,
    controlFrame: stay,
    subscribe: stay,
    unsubscribe: stay,
    signin: stay,
    clientEvent: stay,
    unsupported: stay,
    malformed: stay,
    binary: () => notText,
    activityTimeout: stay,
    pongTimeout: stay,
    closeOrdered: closeWith,
    peerClosed: released,
  },
  open: {
    ...traffic,
    admitted: stay,
    refused: closeWith,
    activityTimeout: (event) => ({
      state: { phase: 'awaitingPong', since: event.now },
      effects: [event.speaksPing ? { do: 'send', text: PING } : { do: 'pingFrame' }],
    }),
    pongTimeout: stay,
  },
  awaitingPong: {
    ...traffic,
    admitted: stay,
    refused: closeWith,
    activityTimeout: stay,
    pongTimeout: ({ speaksPing }) => (speaksPing ? noPong : inactive),
  },
  closed: {
    admitted: stay,
    refused: stay,
    ping: stay,
    pong: stay,
    controlFrame: stay,
    subscribe: stay,
    unsubscribe: stay,
    signin: stay,
    clientEvent: stay,
    unsupported: stay,
    malformed: stay,
    binary: stay,
    activityTimeout: stay,
    pongTimeout: stay,
    closeOrdered: stay,
    peerClosed: stay,
  },
};

export function step(state: ConnectionState, event: ConnectionEvent): ConnectionStep {
  // The table's type pairs every phase with every event; indexing with two unions loses that pairing, hence the one assertion.
  const handler = table[state.phase][event.type] as (event: ConnectionEvent, state: ConnectionState) => ConnectionStep;
  return handler(event, state);
}

/** Of a client by the version that it named in the handshake: pusher:ping came with the fifth. */
export function speaksPing(protocol: string | undefined): boolean {
  return protocol !== '4';
}

/** The timeout that is due, if any. Times in milliseconds on one monotonic clock. */
export function dueTimeout(
  state: ConnectionState,
  lastTrafficAt: number,
  now: number,
  speaksPing: boolean,
): ConnectionEvent | undefined {
  if (state.phase === 'open' && now - lastTrafficAt >= ACTIVITY_TIMEOUT_SECONDS * 1000) {
    return { type: 'activityTimeout', now, speaksPing };
  }
  if (state.phase === 'awaitingPong' && now - state.since >= PONG_TIMEOUT_SECONDS * 1000)
    return { type: 'pongTimeout', speaksPing };
  return undefined;
}
