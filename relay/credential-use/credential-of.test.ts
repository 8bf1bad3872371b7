import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { channelSignatureHolds } from '../auth/channel-signature.ts';
import { SigningKey } from '../auth/signing-key.ts';
import type { AppKey } from '../directory/directory.ts';
import { credentialOf, credentialOfSignature, newestOf } from './credential-of.ts';

const appKey = (id: string, key: string, secret: string): AppKey => ({
  id,
  key,
  secret: new Secret(secret),
  signingKey: new SigningKey(secret),
  expiresAt: null,
  pending: false,
});
/** As an app has them while first the key and its secret were rotated, and then the secret alone. */
const keys = [appKey('k1', 'oldkey', 's1'), appKey('k2', 'newkey', 's2'), appKey('k3', 'newkey', 's3')];
const NOW = 1_700_000_000_000;

function request(
  credential: Parameters<typeof credentialOf>[0]['credential'],
  parameters: readonly (readonly [string, string])[] = [],
): Parameters<typeof credentialOf>[0] {
  const token = credential.method === 'bearer' ? { id: 'Ab3' } : undefined;
  return {
    app: { keys },
    credential,
    token,
    method: 'GET',
    path: '/apps/1/channels',
    parameters,
    now: NOW,
  };
}

function signed(key: string, secret: string): Parameters<typeof credentialOf>[0] {
  const parameters = [
    ['auth_key', key],
    ['auth_timestamp', String(NOW / 1000)],
    ['auth_version', '1.0'],
  ] as const;
  const text = `GET\n/apps/1/channels\n${parameters.map(([name, value]) => `${name}=${value}`).join('&')}`;
  const signature = createHmac('sha256', secret).update(text).digest('hex');
  return request({ method: 'signature', key }, [...parameters, ['auth_signature', signature]]);
}

test('a token by its public part', () => {
  expect(credentialOf(request({ method: 'bearer', sha256: 'a'.repeat(64) }))).toBe('Ab3');
});

test.each([
  ['oldkey', 's1', 'k1'],
  ['newkey', 's2', 'k2'],
  ['newkey', 's3', 'k3'],
])('key %s with secret %s is %s, by header, by signature and at a socket', (key, secret, id) => {
  expect(credentialOf(request({ method: 'keyAndSecret', key, secret }))).toBe(id);
  expect(credentialOf(signed(key, secret))).toBe(id);
  const auth = `${key}:${createHmac('sha256', secret).update('1.2:private-a').digest('hex')}`;
  const what = { socketId: '1.2', channel: 'private-a', channelData: undefined };
  expect(credentialOfSignature(keys, auth, (candidate) => channelSignatureHolds(auth, what, [candidate], NOW))).toBe(
    id,
  );
});

test('a socket keeps no older secret of its key in use', () => {
  expect(newestOf(keys, 'newkey')).toBe('k3');
  expect(newestOf(keys, 'oldkey')).toBe('k1');
  expect(newestOf(keys, 'gone')).toBeUndefined();
});
