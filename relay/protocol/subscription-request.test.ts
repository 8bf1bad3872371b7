import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { SigningKey } from '../auth/signing-key.ts';
import { signChannel } from '../auth/sign-for-client.ts';
import { judgeSubscription, type SubscriptionRequestFacts } from './subscription-request.ts';

const NOW = 1_000_000;
const key = (id: string, expiresAt: number | null = null): SubscriptionRequestFacts['app']['keys'][number] => ({
  id,
  key: id,
  secret: new Secret(`${id}-secret`),
  signingKey: new SigningKey(`${id}-secret`),
  expiresAt,
  pending: false,
});
const channels = {
  clientEvents: true,
  encrypted: true,
  subscriptionCounts: false,
  watchlists: false,
  cacheSeconds: 60,
} as const;
const user = { id: '7', info: '{"name":"Ada"}', watchlist: [], watchlistCut: false };

const sign = (text: string, id = 'new'): string =>
  `${id}:${createHmac('sha256', `${id}-secret`).update(text).digest('hex')}`;

function facts(
  channel: string,
  auth?: string,
  channelData?: string,
  more: Partial<SubscriptionRequestFacts> = {},
): SubscriptionRequestFacts {
  return {
    request: { type: 'subscribe', channel, auth, channelData },
    socketId: '1.2',
    app: { keys: [key('old'), key('new')], channels },
    relayTokenOf: (tokenId) => (tokenId === 'livetoken1' ? 'ci' : undefined),
    user: undefined,
    subscriptions: 0,
    maxSubscriptions: 10,
    now: NOW,
    ...more,
  };
}

test('a key whose end has come signs nobody in', () => {
  const app = { keys: [key('old', NOW + 1), key('new')], channels };
  const asked = (now: number): unknown =>
    judgeSubscription(facts('private-a', sign('1.2:private-a', 'old'), undefined, { app, now }));
  expect(asked(NOW)).toHaveProperty('channel');
  expect(asked(NOW + 1)).toHaveProperty('refusal');
});

describe('let in', () => {
  test.each([
    ['orders', undefined],
    ['cache-orders', undefined],
    ['private-a', sign('1.2:private-a')],
    ['private-a', sign('1.2:private-a', 'old')],
    ['private-cache-a', sign('1.2:private-cache-a')],
    ['private-encrypted-a', sign('1.2:private-encrypted-a')],
    ['private-encrypted-cache-a', sign('1.2:private-encrypted-cache-a')],
  ])('%s', (channel, auth) => {
    expect(judgeSubscription(facts(channel, auth))).toMatchObject({ channel: { name: channel }, member: undefined });
  });

  test('signed for a token: the subscription relies on its RelayToken', () => {
    const bound = (tokenId: string) =>
      signChannel(key('new'), { socketId: '1.2', channel: 'private-a', channelData: undefined, tokenId });
    expect(judgeSubscription(facts('private-a', bound('livetoken1')))).toMatchObject({ relayToken: 'ci' });
    expect(judgeSubscription(facts('private-a', sign('1.2:private-a')))).toMatchObject({ relayToken: undefined });
    expect(judgeSubscription(facts('private-a', bound('deadtoken1')))).toEqual({
      refusal: {
        type: 'AuthError',
        message: 'The token that signed for channel private-a was revoked or has expired',
        status: 401,
      },
    });
  });

  test('a private channel with channel_data: it is part of what is signed', () => {
    expect(judgeSubscription(facts('private-a', sign('1.2:private-a:x'), 'x'))).toHaveProperty('channel');
    expect(judgeSubscription(facts('private-a', sign('1.2:private-a'), 'x'))).toHaveProperty('refusal');
  });

  test('presence: who it says it is; once signed in, it need not', () => {
    const data = '{"user_id":8,"user_info":{"a":1}}';
    const auth = sign(`1.2:presence-a:${data}`);
    expect(judgeSubscription(facts('presence-a', auth, data, { user }))).toMatchObject({
      member: { userId: '8', info: '{"a":1}' },
    });
    expect(judgeSubscription(facts('presence-a', sign('1.2:presence-a'), undefined, { user }))).toMatchObject({
      member: { userId: '7', info: '{"name":"Ada"}' },
    });
  });

  test('#server-to-user of its own, whatever auth says', () => {
    expect(judgeSubscription(facts('#server-to-user-7', '', undefined, { user }))).toHaveProperty('channel');
  });
});

describe('refused', () => {
  const noInfo = { user: { ...user, info: undefined } };
  test.each<[string, string, number, SubscriptionRequestFacts]>([
    ['no signature', 'AuthError', 401, facts('private-a')],
    ['another socket’s', 'AuthError', 401, facts('private-a', sign('1.3:private-a'))],
    ['another channel’s', 'AuthError', 401, facts('private-a', sign('1.2:private-b'))],
    ['a user signature', 'AuthError', 401, facts('private-a', sign('1.2::user::{}'))],
    ['unknown key', 'AuthError', 401, facts('private-a', sign('1.2:private-a', 'gone'))],
    ['presence, channel_data not signed', 'AuthError', 401, facts('presence-a', sign('1.2:presence-a'), '{}')],
    ['presence without data', 'InvalidChannelData', 400, facts('presence-a', sign('1.2:presence-a'))],
    ['presence, bad data', 'InvalidChannelData', 400, facts('presence-a', sign('1.2:presence-a:{}'), '{}')],
    ['presence, info', 'InvalidChannelData', 400, facts('presence-a', sign('1.2:presence-a'), undefined, noInfo)],
    ['not signed in', 'AuthError', 401, facts('#server-to-user-7', '')],
    ['another user', 'AuthError', 401, facts('#server-to-user-8', '', undefined, { user })],
    ['reserved', 'InvalidChannel', 400, facts('#user-7', '', undefined, { user })],
    ['bad name', 'InvalidChannel', 400, facts('a b')],
    ['too many', 'LimitReached', 403, facts('orders', undefined, undefined, { subscriptions: 10 })],
    [
      'encrypted, switched off',
      'NotServed',
      403,
      facts('private-encrypted-a', sign('1.2:private-encrypted-a'), undefined, {
        app: { keys: [key('new')], channels: { ...channels, encrypted: false } },
      }),
    ],
  ])('%s: %s %i', (_, type, status, given) => {
    expect(judgeSubscription(given)).toMatchObject({ refusal: { type, status } });
  });
});
