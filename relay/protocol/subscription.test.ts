import { expect, test } from 'vitest';
import {
  stepSubscription,
  type SubscriptionEffect,
  type SubscriptionEvent,
  type SubscriptionState,
} from './subscription.ts';

const refusal = { type: 'AuthError', message: 'Invalid signature', status: 401 } as const;
const events: { readonly [T in SubscriptionEvent['type']]: Extract<SubscriptionEvent, { type: T }> } = {
  requested: { type: 'requested' },
  refused: { type: 'refused', refusal },
  joined: { type: 'joined', data: '{}' },
  failed: { type: 'failed', refusal: { type: 'LimitReached', message: 'full', status: 403 } },
  unsubscribe: { type: 'unsubscribe' },
  connectionClosed: { type: 'connectionClosed' },
};

const short = (effect: SubscriptionEffect): string =>
  effect.do === 'send' ? (JSON.parse(effect.text) as { event: string }).event : effect.do;

type Expected = readonly [state: SubscriptionState, ...effects: string[]];
const refused = ['pusher:error', 'pusher:subscription_error'] as const;

const table: { readonly [S in SubscriptionState]: { readonly [T in SubscriptionEvent['type']]: Expected } } = {
  none: {
    requested: ['joining', 'join'],
    refused: ['none', ...refused],
    joined: ['none'],
    failed: ['none'],
    unsubscribe: ['none'],
    connectionClosed: ['none'],
  },
  joining: {
    requested: ['joining', 'pusher:error'],
    refused: ['joining', ...refused],
    joined: ['subscribed', 'pusher_internal:subscription_succeeded', 'attach'],
    failed: ['none', 'leave', ...refused],
    unsubscribe: ['none', 'leave'],
    connectionClosed: ['none', 'leave'],
  },
  subscribed: {
    requested: ['subscribed', 'pusher:error'],
    refused: ['subscribed', ...refused],
    joined: ['subscribed'],
    failed: ['subscribed'],
    unsubscribe: ['none', 'leave'],
    connectionClosed: ['none', 'leave'],
  },
};

const rows = (['none', 'joining', 'subscribed'] as const).flatMap((state) =>
  Object.values(events).map((event) => ({ state, event, expected: table[state][event.type] })),
);

test.each(rows)('$state × $event.type → $expected', ({ state, event, expected }) => {
  const { state: next, effects } = stepSubscription(state, event, 'orders');
  expect([next, ...effects.map(short)]).toEqual(expected);
});

test('every join has its leave: from whatever state, ending the connection ends in none', () => {
  for (const state of ['joining', 'subscribed'] as const) {
    expect(stepSubscription(state, events.connectionClosed, 'c')).toEqual({
      state: 'none',
      effects: [{ do: 'leave' }],
    });
  }
});
