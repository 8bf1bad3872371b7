import { describe, expect, test } from 'vitest';
import {
  dueTimeout,
  speaksPing,
  step,
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionState,
  type EventType,
  type Phase,
} from './connection.ts';

const states: { readonly [P in Phase]: Extract<ConnectionState, { phase: P }> } = {
  connecting: { phase: 'connecting' },
  open: { phase: 'open' },
  awaitingPong: { phase: 'awaitingPong', since: 1_000 },
  closed: { phase: 'closed' },
};

const close = { code: 4003, message: 'The app is disabled.' } as const;
const events: { readonly [T in EventType]: Extract<ConnectionEvent, { type: T }> } = {
  admitted: { type: 'admitted', socketId: '1.2' },
  refused: { type: 'refused', close },
  ping: { type: 'ping' },
  pong: { type: 'pong' },
  subscribe: { type: 'subscribe', channel: 'c', auth: undefined, channelData: undefined },
  unsubscribe: { type: 'unsubscribe', channel: 'c' },
  signin: { type: 'signin', auth: 'k:s', userData: '{}' },
  clientEvent: { type: 'clientEvent', event: 'client-x', channel: 'private-c', data: '' },
  unsupported: { type: 'unsupported', event: 'pusher:other' },
  malformed: { type: 'malformed', reason: 'no' },
  binary: { type: 'binary' },
  controlFrame: { type: 'controlFrame' },
  activityTimeout: { type: 'activityTimeout', now: 5_000, speaksPing: true },
  pongTimeout: { type: 'pongTimeout', speaksPing: true },
  closeOrdered: { type: 'closeOrdered', close },
  peerClosed: { type: 'peerClosed' },
};

/** Effects in short: what is sent by its event (and code), the rest by its name. */
function short(effect: ConnectionEffect): string {
  if (effect.do === 'close') return `close ${effect.code}`;
  if (effect.do !== 'send') return effect.do;
  const frame = JSON.parse(effect.text) as { event: string; data: { code?: number | null } };
  return frame.event === 'pusher:error' ? `error ${frame.data.code}` : frame.event;
}

type Expected = readonly [phase: Phase, ...effects: string[]];
const stays = (phase: Phase): Expected => [phase];
const ordered: Expected = ['closed', 'error 4003', 'close 4003', 'release'];
const binary: Expected = ['closed', 'error null', 'close 1003', 'release'];
const gone: Expected = ['closed', 'release'];

/** A row per state and event: a new event or a new state does not compile without its rows. */
const table: { readonly [P in Phase]: { readonly [T in EventType]: Expected } } = {
  connecting: {
    admitted: ['open', 'pusher:connection_established'],
    refused: ordered,
    ping: stays('connecting'),
    pong: stays('connecting'),
    subscribe: stays('connecting'),
    unsubscribe: stays('connecting'),
    signin: stays('connecting'),
    clientEvent: stays('connecting'),
    unsupported: stays('connecting'),
    malformed: stays('connecting'),
    binary,
    controlFrame: stays('connecting'),
    activityTimeout: stays('connecting'),
    pongTimeout: stays('connecting'),
    closeOrdered: ordered,
    peerClosed: gone,
  },
  open: {
    admitted: stays('open'),
    refused: ordered,
    ping: ['open', 'pusher:pong'],
    pong: stays('open'),
    subscribe: ['open', 'subscribe'],
    unsubscribe: ['open', 'unsubscribe'],
    signin: ['open', 'signin'],
    clientEvent: ['open', 'clientEvent'],
    unsupported: ['open', 'error null'],
    malformed: ['open', 'error null'],
    binary,
    controlFrame: stays('open'),
    activityTimeout: ['awaitingPong', 'pusher:ping'],
    pongTimeout: stays('open'),
    closeOrdered: ordered,
    peerClosed: gone,
  },
  awaitingPong: {
    admitted: stays('awaitingPong'),
    refused: ordered,
    ping: ['open', 'pusher:pong'],
    pong: stays('open'),
    subscribe: ['open', 'subscribe'],
    unsubscribe: ['open', 'unsubscribe'],
    signin: ['open', 'signin'],
    clientEvent: ['open', 'clientEvent'],
    unsupported: ['open', 'error null'],
    malformed: ['open', 'error null'],
    binary,
    controlFrame: stays('open'),
    activityTimeout: stays('awaitingPong'),
    pongTimeout: ['closed', 'error 4201', 'close 4201', 'release'],
    closeOrdered: ordered,
    peerClosed: gone,
  },
  closed: {
    admitted: stays('closed'),
    refused: stays('closed'),
    ping: stays('closed'),
    pong: stays('closed'),
    subscribe: stays('closed'),
    unsubscribe: stays('closed'),
    signin: stays('closed'),
    clientEvent: stays('closed'),
    unsupported: stays('closed'),
    malformed: stays('closed'),
    binary: stays('closed'),
    controlFrame: stays('closed'),
    activityTimeout: stays('closed'),
    pongTimeout: stays('closed'),
    closeOrdered: stays('closed'),
    peerClosed: stays('closed'),
  },
};

const rows = Object.values(states).flatMap((state) =>
  Object.values(events).map((event) => ({ state, event, expected: table[state.phase][event.type] })),
);

describe('every state × every event', () => {
  test.each(rows)('$state.phase × $event.type → $expected', ({ state, event, expected }) => {
    const { state: next, effects } = step(state, event);
    expect([next.phase, ...effects.map(short)]).toEqual(expected);
  });
});

describe('invariants over the whole table', () => {
  test('no socket is closed with 4300 or more, and every close code is told by pusher:error first', () => {
    for (const { state, event } of rows) {
      const { effects } = step(state, event);
      const at = effects.findIndex((effect) => effect.do === 'close');
      if (at < 0) continue;
      const closing = effects[at];
      expect(closing?.do === 'close' && closing.code < 4300).toBe(true);
      expect(short(effects[at - 1] ?? { do: 'release' })).toMatch(/^error /);
    }
  });

  test('released exactly once: on the way into closed', () => {
    for (const { state, event } of rows) {
      const { state: next, effects } = step(state, event);
      const releases = effects.filter((effect) => effect.do === 'release').length;
      expect(releases).toBe(state.phase !== 'closed' && next.phase === 'closed' ? 1 : 0);
    }
  });
});

describe('timeouts', () => {
  test.each([
    ['open', 119_999, undefined],
    ['open', 120_000, 'activityTimeout'],
    ['awaitingPong', 30_999, undefined],
    ['awaitingPong', 31_000, 'pongTimeout'],
    ['connecting', 900_000, undefined],
    ['closed', 900_000, undefined],
  ] as const)('%s, %i ms after the last traffic: %s', (phase, now, due) => {
    expect(dueTimeout(states[phase], 0, now, true)?.type).toBe(due);
  });

  test('a client that knows no pusher:ping is asked by a ping frame, and closed with a code of its own', () => {
    const { state, effects } = step(states.open, { ...events.activityTimeout, speaksPing: false });
    expect([state.phase, ...effects.map(short)]).toEqual(['awaitingPong', 'pingFrame']);
    const end = step(state, { ...events.pongTimeout, speaksPing: false });
    expect([end.state.phase, ...end.effects.map(short)]).toEqual(['closed', 'error 4202', 'close 4202', 'release']);
    expect(['4', '5', '6', '7'].map(speaksPing)).toEqual([false, true, true, true]);
  });

  test('the relay asks with the time at which it asked', () => {
    expect(step(states.open, events.activityTimeout).state).toEqual({ phase: 'awaitingPong', since: 5_000 });
  });
});
