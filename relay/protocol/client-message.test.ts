import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeClientEvent } from './client-event.ts';
import { parseClientMessage } from './client-message.ts';

const channelEventOf = (event: string, channel: string, data: string): object => ({
  type: 'clientEvent',
  event,
  channel,
  data,
});

describe('what a client may send', () => {
  test('data that is nested too deeply to be written again is refused, not thrown', () => {
    const depth = 20_000;
    const data = `${'{"toJSON":'.repeat(depth)}1${'}'.repeat(depth)}`;
    expect(parseClientMessage(`{"event":"client-x","channel":"c","data":${data}}`)).toEqual({
      type: 'malformed',
      reason: 'the data of a client event is nested too deeply',
    });
  });

  test.each([
    ['{"event":"pusher:ping","data":{}}', { type: 'ping' }],
    ['{"event":"pusher:pong"}', { type: 'pong' }],
    [
      '{"event":"pusher:subscribe","data":{"channel":"c","auth":"k:s","channel_data":"{}"}}',
      { type: 'subscribe', channel: 'c', auth: 'k:s', channelData: '{}' },
    ],
    ['{"event":"pusher:unsubscribe","data":{"channel":"c"}}', { type: 'unsubscribe', channel: 'c' }],
    ['{"event":"client-x","channel":"c","data":{"a":1}}', channelEventOf('client-x', 'c', '{"a":1}')],
    ['{"event":"client-x","channel":"c","data":"{\\"a\\":1}"}', channelEventOf('client-x', 'c', '{"a":1}')],
    ['{"event":"client-x","channel":"c"}', channelEventOf('client-x', 'c', 'null')],
    [
      '{"event":"pusher:signin","data":{"auth":"k:s","user_data":"{}"}}',
      { type: 'signin', auth: 'k:s', userData: '{}' },
    ],
    ['{"event":"pusher:signin","data":{"auth":1}}', { type: 'signin', auth: '', userData: '' }],
    ['{"event":"pusher:other","data":{}}', { type: 'unsupported', event: 'pusher:other' }],
    ['{"event":"pusher_internal:x"}', { type: 'unsupported', event: 'pusher_internal:x' }],
  ])('%s', (text, message) => {
    expect(parseClientMessage(text)).toEqual(message);
  });

  test.each([
    '',
    '{',
    '[]',
    'null',
    '1',
    '"x"',
    '{}',
    '{"event":1}',
    '{"event":"pusher:subscribe"}',
    '{"event":"client-x"}',
  ])('garbage: %s', (text) => expect(parseClientMessage(text).type).toBe('malformed'));

  test('nothing makes it throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.object().map((value) => JSON.stringify(value)),
        ),
        (text) => {
          expect(typeof parseClientMessage(text).type).toBe('string');
        },
      ),
    );
  });
});

describe('client events', () => {
  const facts = {
    channel: 'private-c',
    data: 'x',
    subscription: 'subscribed',
    rules: { clientEvents: true, eventBytes: 10, perSecond: 10 },
  } as const;
  const takes = (): boolean => true;

  test.each(['private-c', 'private-cache-c', 'presence-c', 'presence-cache-c'])('passes on %s', (channel) => {
    expect(judgeClientEvent({ ...facts, channel }, takes)).toBeUndefined();
  });
  test.each([
    [{ rules: { ...facts.rules, clientEvents: false } }, null],
    [{ channel: 'orders' }, null],
    [{ channel: 'cache-x' }, null],
    [{ channel: 'private-encrypted-x' }, null],
    [{ channel: 'private-encrypted-cache-x' }, null],
    [{ channel: '#server-to-user-7' }, null],
    [{ channel: '#user-7' }, null],
    [{ subscription: 'joining' as const }, null],
    [{ subscription: 'none' as const }, null],
    [{ data: 'é'.repeat(6) }, null],
  ])('%j is refused and takes no token', (change, code) => {
    const token = (): never => {
      throw new Error('asked for a token');
    };
    expect(judgeClientEvent({ ...facts, ...change }, token)).toMatchObject({ code });
  });
  test('over the rate: 4301', () => expect(judgeClientEvent(facts, () => false)).toMatchObject({ code: 4301 }));
});
