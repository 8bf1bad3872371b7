import { expect, test } from 'vitest';
import { eventHead, eventTail, isInternalTail, memberAdded, presenceData, watchlistEvents } from './server-message.ts';

const frame = (head: string, tail: string): unknown => JSON.parse(head + tail);

test('presence data, and nobody is lost by a name', () => {
  const members = [
    { userId: '7', info: '{"name":"Ada"}' },
    { userId: '__proto__', info: 'null' },
    { userId: 'a"b', info: '1' },
  ];
  const { presence } = JSON.parse(presenceData(members)) as { presence: { hash: object; ids: unknown; count: number } };
  expect(presence.ids).toEqual(['7', '__proto__', 'a"b']);
  expect(presence.count).toBe(3);
  expect(Object.entries(presence.hash)).toEqual([
    ['7', { name: 'Ada' }],
    ['__proto__', null],
    ['a"b', 1],
  ]);
  expect(JSON.parse(presenceData([]))).toEqual({ presence: { ids: [], hash: {}, count: 0 } });
});

test('an event, with and without its user', () => {
  expect(frame(eventHead('orders'), eventTail('x', 'text'))).toEqual({ channel: 'orders', event: 'x', data: 'text' });
  expect(frame(eventHead('presence-a'), eventTail('client-x', '1', 'a"b'))).toEqual({
    channel: 'presence-a',
    event: 'client-x',
    data: '1',
    user_id: 'a"b',
  });
  expect(frame(eventHead('#server-to-user-a"b'), eventTail('x', ''))).toMatchObject({ channel: '#server-to-user-a"b' });
});

test('the protocol’s own events are told from publishers’', () => {
  expect(isInternalTail(Buffer.from(memberAdded({ userId: '7', info: 'null' })))).toBe(true);
  expect(isInternalTail(Buffer.from(eventTail('pusher_internal', '')))).toBe(false);
});

test.each([
  [
    ['1'],
    ['2', '3'],
    [
      { name: 'online', user_ids: ['1'] },
      { name: 'offline', user_ids: ['2', '3'] },
    ],
  ],
  [[], ['2'], [{ name: 'offline', user_ids: ['2'] }]],
])('watchlist: online %j, offline %j', (online, offline, events) => {
  const { data } = JSON.parse(watchlistEvents(online, offline)) as { data: string };
  expect(JSON.parse(data)).toEqual({ events });
});
