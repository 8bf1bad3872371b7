import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { SigningKey } from '../auth/signing-key.ts';
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
const known = { id: '7', info: 'null', watchlist: [], watchlistCut: false };

test.each([
  ['the first time', signed('{"id":"7"}'), undefined, { id: '7' }],
  ['again as the same', signed('{"id":"7","watchlist":["8"]}'), known, { id: '7', watchlist: ['8'] }],
  ['again as another', signed('{"id":"8"}'), known, { code: 4009 }],
  ['a wrong signature', { auth: 'k:00', userData: '{"id":"7"}' }, undefined, { code: 4009 }],
  ['nothing', { auth: '', userData: '' }, undefined, { code: 4009 }],
  ['another socket’s', signed('{"id":"7"}', '1.3::user::{"id":"7"}'), undefined, { code: 4009 }],
  ['a presence signature', signed('{"id":"7"}', '1.2:presence-a:{"id":"7"}'), undefined, { code: 4009 }],
  ['the form of the docs', signed('{"id":"7"}', 'k::user::{"id":"7"}'), undefined, { code: 4009 }],
  ['no user', signed('{}'), undefined, { code: 4009 }],
])('%s', (_, request, user, verdict) => {
  expect(judgeSignin({ request: { type: 'signin', ...request }, socketId: '1.2', keys, user, now: NOW })).toMatchObject(
    verdict,
  );
});

test.each([
  ['an older secret of the same key', [keyOf('s', NOW + 1), keyOf('t')], { id: '7' }],
  ['a newer one', [keyOf('r'), keyOf('s')], { id: '7' }],
  ['one whose end has come', [keyOf('s', NOW), keyOf('t')], { code: 4009 }],
])('signed with %s', (_, rotating, verdict) => {
  const request = { type: 'signin', ...signed('{"id":"7"}') } as const;
  expect(judgeSignin({ request, socketId: '1.2', keys: rotating, user: undefined, now: NOW })).toMatchObject(verdict);
});
