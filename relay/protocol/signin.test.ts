import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { SigningKey } from '../auth/signing-key.ts';
import { signUser } from '../auth/sign-for-client.ts';
import { judgeSignin } from './signin.ts';

const NOW = 1_000_000;
const keyOf = (secret: string, expiresAt: number | null = null) =>
  ({
    id: secret,
    key: 'k',
    secret: new Secret(secret),
    signingKey: new SigningKey(secret),
    expiresAt,
    pending: false,
  }) as const;
const keys = [keyOf('s')];
const signed = (userData: string, text = `1.2::user::${userData}`): { auth: string; userData: string } => ({
  auth: `k:${createHmac('sha256', 's').update(text).digest('hex')}`,
  userData,
});
const bound = (tokenId: string): { auth: string; userData: string } => {
  const userData = '{"id":"7"}';
  const [key] = keys;
  if (key === undefined) throw new Error('no key');
  return { auth: signUser(key, { socketId: '1.2', userData, tokenId }), userData };
};
const relayTokenOf = (tokenId: string): string | undefined => (tokenId === 'livetoken1' ? 'ci' : undefined);
const known = { id: '7', info: 'null', watchlist: [], watchlistCut: false };

test.each([
  ['the first time', signed('{"id":"7"}'), undefined, { user: { id: '7' }, relayToken: undefined }],
  ['again as the same', signed('{"id":"7","watchlist":["8"]}'), known, { user: { id: '7', watchlist: ['8'] } }],
  ['again as another', signed('{"id":"8"}'), known, { code: 4009 }],
  ['a wrong signature', { auth: 'k:00', userData: '{"id":"7"}' }, undefined, { code: 4009 }],
  ['nothing', { auth: '', userData: '' }, undefined, { code: 4009 }],
  ['another socket’s', signed('{"id":"7"}', '1.3::user::{"id":"7"}'), undefined, { code: 4009 }],
  ['a presence signature', signed('{"id":"7"}', '1.2:presence-a:{"id":"7"}'), undefined, { code: 4009 }],
  ['the form of the docs', signed('{"id":"7"}', 'k::user::{"id":"7"}'), undefined, { code: 4009 }],
  ['for a token', bound('livetoken1'), undefined, { user: { id: '7' }, relayToken: 'ci' }],
  ['for a token that was revoked', bound('deadtoken1'), undefined, { code: 4009 }],
  ['no user', signed('{}'), undefined, { code: 4009 }],
])('%s', (_, request, user, verdict) => {
  const facts = { request: { type: 'signin', ...request }, socketId: '1.2', keys, relayTokenOf, user } as const;
  expect(judgeSignin({ ...facts, now: NOW })).toMatchObject(verdict);
});

test.each([
  ['an older secret of the same key', [keyOf('s', NOW + 1), keyOf('t')], { user: { id: '7' } }],
  ['a newer one', [keyOf('r'), keyOf('s')], { user: { id: '7' } }],
  ['one whose end has come', [keyOf('s', NOW), keyOf('t')], { code: 4009 }],
])('signed with %s', (_, rotating, verdict) => {
  const request = { type: 'signin', ...signed('{"id":"7"}') } as const;
  const facts = { request, socketId: '1.2', keys: rotating, relayTokenOf, user: undefined, now: NOW };
  expect(judgeSignin(facts)).toMatchObject(verdict);
});
