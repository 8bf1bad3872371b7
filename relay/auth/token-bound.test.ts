import { expect, test } from 'vitest';
import { appOf, type AppKey } from '../directory/directory.ts';
import { appEntryBody } from '#crds/directory/entry-body.ts';
import { channelSignatureHolds } from './channel-signature.ts';
import { signChannel, signUser } from './sign-for-client.ts';
import { readBoundAuth } from './token-bound.ts';
import { userSignatureHolds } from './user-signature.ts';

const keys: readonly AppKey[] = appOf(
  appEntryBody.parse({
    appId: '101',
    namespace: 'shop',
    name: 'checkout',
    enabled: true,
    keys: [{ id: 'k1', key: 'appkey', secret: '' }],
    authentication: { bearer: true, keyAndSecret: true, signature: true },
    limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10 },
    channels: { clientEvents: true },
  }),
  new Map([['k1', 'appsecret']]),
  1,
).keys;
const [key] = keys;
if (key === undefined) throw new Error('no key');
const asked = { socketId: '1.2', channel: 'private-a', channelData: undefined };
const holds = (auth: string): boolean => {
  const { signature, tokenId } = readBoundAuth(auth);
  return channelSignatureHolds(signature, { ...asked, tokenId }, keys, 0);
};

test('the token stands behind the signature, and is signed with it', () => {
  const auth = signChannel(key, { ...asked, tokenId: 'aaaaaaaaaa' });
  expect(auth).toMatch(/^appkey:[0-9a-f]{64}\.aaaaaaaaaa$/);
  expect(auth.split(':')).toHaveLength(2);
  expect(readBoundAuth(auth).tokenId).toBe('aaaaaaaaaa');
  expect(holds(auth)).toBe(true);
});

test('it can be neither left out, nor changed, nor added', () => {
  const auth = signChannel(key, { ...asked, tokenId: 'aaaaaaaaaa' });
  const plain = signChannel(key, { ...asked, tokenId: undefined });
  expect(holds(plain)).toBe(true);
  for (const forged of [
    auth.replace('.aaaaaaaaaa', ''),
    auth.replace('.aaaaaaaaaa', '.bbbbbbbbbb'),
    auth.replace('.aaaaaaaaaa', '.aaaaaaaaa'),
    `${plain}.aaaaaaaaaa`,
    `${auth}.aaaaaaaaaa`,
  ])
    expect({ forged, holds: holds(forged) }).toEqual({ forged, holds: false });
});

test('a sign-in as well', () => {
  const auth = signUser(key, { socketId: '1.2', userData: '{"id":"u"}', tokenId: 'aaaaaaaaaa' });
  const { signature, tokenId } = readBoundAuth(auth);
  const signed = { socketId: '1.2', userData: '{"id":"u"}' };
  expect(userSignatureHolds(signature, { ...signed, tokenId }, keys, 0)).toBe(true);
  expect(userSignatureHolds(signature, { ...signed, tokenId: undefined }, keys, 0)).toBe(false);
});
