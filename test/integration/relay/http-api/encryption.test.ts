import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { serverSdk } from '../sdks.ts';
import { TestClient } from '../test-client.ts';
import { ApiReplicas, bearer, refused } from './api-replicas.ts';

// Events that the relay cannot read, and the keys that participants exchange.

let api: ApiReplicas;
beforeEach(async () => {
  api = await ApiReplicas.start();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('encrypted channels', () => {
  const sealed = JSON.stringify({
    nonce: Buffer.alloc(24).toString('base64'),
    ciphertext: Buffer.alloc(16).toString('base64'),
  });
  const channel = 'private-encrypted-safe';

  test('what the SDK encrypts passes', async () => {
    await using client = await TestClient.connected(api.other.port);
    await client.subscribe(channel);
    expect(await (await serverSdk(api.relay.port).trigger(channel, 'told', { n: 1 })).text()).toBe('{}');
    const batch = await serverSdk(api.relay.port).triggerBatch([{ channel, name: 'batched', data: 'x' }]);
    expect(await batch.text()).toBe('{}');
    expect(JSON.parse(String((await client.event('told', channel)).data))).toEqual({
      nonce: expect.any(String) as string,
      ciphertext: expect.any(String) as string,
    });
  });

  test.each([
    ['plaintext', 'hello'],
    ['empty', ''],
    ['JSON', '{"n":1}'],
    ['a null', 'null'],
    ['more than the two', sealed.replace('}', ',"plain":"hello"}')],
    ['no base64', '{"nonce":"?","ciphertext":"?"}'],
    ['a short nonce', JSON.stringify({ nonce: 'AAAA', ciphertext: Buffer.alloc(16).toString('base64') })],
    ['a short ciphertext', JSON.stringify({ nonce: Buffer.alloc(24).toString('base64'), ciphertext: 'AAAA' })],
  ])('%s is refused, alone and in a batch', async (_, data) => {
    for (const name of [channel, 'private-encrypted-cache-safe']) {
      expect(await api.call('POST', '/events', { name: 'x', channel: name, data })).toMatchObject(
        refused(400, 'encrypted_payload_invalid'),
      );
      expect(await api.call('POST', '/batch_events', { batch: [{ name: 'x', channel: name, data }] })).toMatchObject(
        refused(400, 'encrypted_payload_invalid'),
      );
    }
  });

  test('never together with another channel; once is once', async () => {
    const event = { name: 'x', data: sealed };
    expect(await api.call('POST', '/events', { ...event, channels: ['public', channel] })).toMatchObject(
      refused(400, 'encrypted_channel_alone'),
    );
    expect((await api.call('POST', '/events', { ...event, channels: [channel, channel] })).text).toBe('{}');
  });

  test('an app without them: 403', async () => {
    await api.world.directory.setApp({
      channels: { ...DEFAULT_POLICY.channels, encrypted: false },
    });
    expect(await api.call('POST', '/events', { name: 'x', channel, data: sealed })).toMatchObject(
      refused(403, 'encryption_disabled'),
    );
  });
});

describe('public keys', () => {
  const key = Buffer.from('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a', 'hex').toString('base64');

  test('registered at one replica, found at the other, replaced, listed, removed; apart by app', async () => {
    const put = await api.call('PUT', '/encryption/keys/ada', { public_key: key });
    expect(put).toMatchObject({ status: 200, json: { participant: 'ada', public_key: key } });
    const found = await fetch(`http://127.0.0.1:${api.relay.port}/api/v1/apps/101/encryption/keys/ada`, {
      headers: bearer,
    });
    expect(await found.json()).toEqual(put.json);
    await api.world.directory.setApp({ appId: '102', keys: [{ id: 'k', key: 'second', secret: 's' }] });
    const elsewhere = await fetch(`http://127.0.0.1:${api.relay.port}/api/v1/apps/102/encryption/keys/ada`, {
      headers: { 'x-relay-key': 'second', 'x-relay-secret': 's' },
    });
    expect(elsewhere.status).toBe(404);
    expect(await api.call('GET', '/encryption/keys')).toMatchObject({ json: { keys: [{ participant: 'ada' }] } });
    expect(await api.call('DELETE', '/encryption/keys/ada')).toMatchObject({ status: 204, text: '' });
    expect(await api.call('DELETE', '/encryption/keys/ada')).toMatchObject(refused(404, 'public_key_unknown'));
    expect(await api.call('GET', '/encryption/keys/ada')).toMatchObject(refused(404, 'public_key_unknown'));
  });

  // RFC 7748 and https://cr.yp.to/ecdh.html: 0, 1, two points of order 8, p−1, p, p+1.
  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('a point of low order is refused: %s', async (hex) => {
    expect(
      await api.call('PUT', '/encryption/keys/ada', { public_key: Buffer.from(hex, 'hex').toString('base64') }),
    ).toMatchObject(refused(400, 'public_key_invalid'));
  });

  test.each(['', 'AAAA', 'not base64', key.replace('=', ''), `${key}\n`])(
    'what is no key is refused: %j',
    async (text) => {
      expect(await api.call('PUT', '/encryption/keys/ada', { public_key: text })).toMatchObject(
        refused(400, 'public_key_invalid'),
      );
    },
  );

  test('while the store is away: 503', async () => {
    api.world.publicKeys.goAway();
    expect(await api.call('GET', '/encryption/keys')).toMatchObject(refused(503, 'store_away'));
    expect(await api.call('PUT', '/encryption/keys/ada', { public_key: key })).toMatchObject(
      refused(503, 'store_away'),
    );
  });
});
