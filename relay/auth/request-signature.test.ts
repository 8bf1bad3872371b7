import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { tokenHash } from '#crds/token-format.ts';
import { describe, expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { SAMPLE_APP } from '#test/parts/sample-entries.ts';
import { appOf, type AppKey } from '../directory/directory.ts';
import { channelSignatureHolds } from './channel-signature.ts';
import { presentedCredential } from './presented-credential.ts';
import { SigningKey } from './signing-key.ts';
import { bodyDigestHolds, parseQuery, requestSignatureFault, type SignedRequest } from './request-signature.ts';

const keysOf = (...pairs: readonly (readonly [key: string, secret: string])[]): readonly AppKey[] =>
  appOf(
    {
      ...SAMPLE_APP,
      keys: pairs.map(([key]) => ({ id: key, key, secret: '', expiresAt: null, pending: false })),
    },
    new Map(pairs),
    1,
  ).keys;

/** The worked example of Pusher's HTTP API reference, "Authentication". */
const keys = keysOf(['278d425bdf160c739803', '7ad3773142a6692b25b8']);
const body = Buffer.from('{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}');
const query =
  'auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&' +
  'body_md5=ec365a775a4cd0599faeb73354201b6f&' +
  'auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c';
const NOW = 1_353_088_179_000;

const request = (changes: Partial<SignedRequest> & { query?: string } = {}): SignedRequest => ({
  method: 'POST',
  path: '/apps/3/events',
  parameters: parseQuery(changes.query ?? query),
  ...changes,
});

test('a query without escapes is split as a URL parser splits it', () => {
  const query = fc.stringMatching(/^[aB1&=]{0,20}$/);
  fc.assert(
    fc.property(query, (text) => {
      const expected = [...new URLSearchParams(text)].map(([name, value]) => [name.toLowerCase(), value]);
      expect(parseQuery(text)).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

describe('request signature', () => {
  test("Pusher's own example verifies", () => {
    expect(requestSignatureFault(request(), keys, NOW)).toBeUndefined();
    expect(bodyDigestHolds(body, parseQuery(query))).toBe(true);
  });
  test.each<[string, SignedRequest, number, string]>([
    ['another digest', request({ query: query.replace('md5=ec', 'md5=ed') }), NOW, 'signature_invalid'],
    ['another path', request({ path: '/apps/4/events' }), NOW, 'signature_invalid'],
    ['the decoded path', request({ path: '/apps/3/%65vents' }), NOW, 'signature_invalid'],
    ['another method', request({ method: 'GET' }), NOW, 'signature_invalid'],
    ['one more parameter', request({ query: `${query}&info=x` }), NOW, 'signature_invalid'],
    ['a parameter twice', request({ query: `${query}&auth_key=278d425bdf160c739803` }), NOW, 'parameter_duplicated'],
    ['a parameter twice, in capitals', request({ query: `${query}&AUTH_KEY=x` }), NOW, 'parameter_duplicated'],
    ['601 s late', request(), NOW + 601_000, 'signature_expired'],
    ['601 s early', request(), NOW - 601_000, 'signature_expired'],
    ['another key', request({ query: query.replace('278d', '278e') }), NOW, 'key_unknown'],
    ['another version', request({ query: query.replace('1.0', '1.1') }), NOW, 'signature_version_unsupported'],
    ['a short signature', request({ query: query.slice(0, -1) }), NOW, 'signature_invalid'],
    ['no signature', request({ query: query.replace(/&auth_signature.*/, '') }), NOW, 'signature_invalid'],
  ])('%s', (_, changed, now, fault) => {
    expect(requestSignatureFault(changed, keys, now)).toBe(fault);
  });
  test('600 s either way are fine', () => {
    expect(requestSignatureFault(request(), keys, NOW + 600_000)).toBeUndefined();
    expect(requestSignatureFault(request(), keys, NOW - 600_000)).toBeUndefined();
  });
  test('during a rotation every active key verifies', () => {
    const rotating = keysOf(['old', 'x'], ['278d425bdf160c739803', '7ad3773142a6692b25b8'], ['new', 'y']);
    expect(requestSignatureFault(request(), rotating, NOW)).toBeUndefined();
  });
  test('of several secrets under one key each verifies, until its end comes', () => {
    const [right, wrong] = ['7ad3773142a6692b25b8', 'x'] as const;
    const of = (secrets: readonly string[]): readonly AppKey[] =>
      secrets.map((secret, index) => ({
        id: `k${index}`,
        key: '278d425bdf160c739803',
        secret: new Secret(secret),
        signingKey: new SigningKey(secret),
        expiresAt: index === 0 ? NOW + 1_000 : null,
        pending: false,
      }));
    for (const keys of [of([right, wrong]), of([wrong, right])]) {
      expect(requestSignatureFault(request(), keys, NOW)).toBeUndefined();
      expect(requestSignatureFault(request(), keys, NOW + 999)).toBeUndefined();
    }
    expect(requestSignatureFault(request(), of([right, wrong]), NOW + 1_000)).toBe('signature_invalid');
    expect(requestSignatureFault(request(), of([wrong, right]), NOW + 1_000)).toBeUndefined();
    expect(requestSignatureFault(request(), of([right]), NOW + 1_000)).toBe('key_unknown');
  });
  test('no bit of the signature is idle', () => {
    fc.assert(
      fc.property(
        fc.nat(63),
        fc.integer({ min: 0, max: 15 }).map((digit) => digit.toString(16)),
        (at, digit) => {
          const start = query.length - 64;
          const changed = query.slice(0, start + at) + digit + query.slice(start + at + 1);
          fc.pre(changed !== query);
          expect(requestSignatureFault(request({ query: changed }), keys, NOW)).toBe('signature_invalid');
        },
      ),
    );
  });
});

describe('body_md5', () => {
  const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
  test.each<[string, string | Buffer, string, boolean]>([
    ['of another body', '{}', query, false],
    ['of a body that did not come', '', query, false],
    ['absent without a body', '', 'auth_key=x', true],
    ['of the empty string without a body (PyPI SDK)', '', `body_md5=${md5('')}`, true],
    ['wrong without a body', '', `body_md5=${md5('x')}`, false],
    ['absent with a body', body, 'auth_key=x', false],
    ['in capitals', body, query.replace('ec365a775a4cd0599faeb73354201b6f', 'EC365A775A4CD0599FAEB73354201B6F'), false],
  ])('%s', (_, sent, text, holds) => expect(bodyDigestHolds(Buffer.from(sent), parseQuery(text))).toBe(holds));
});

describe("channel signature (Pusher's docs, Authorizing users)", () => {
  const docs = keysOf(['278d425bdf160c739803', '7ad3773142a6692b25b8']);
  const auth = '278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4';
  const signed = { socketId: '1234.1234', channel: 'private-foobar', channelData: undefined };
  test('verifies', () => expect(channelSignatureHolds(auth, signed, docs, NOW)).toBe(true));
  test('with channel_data', () =>
    expect(
      channelSignatureHolds(
        '278d425bdf160c739803:31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80',
        {
          socketId: '1234.1234',
          channel: 'presence-foobar',
          channelData: '{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
        },
        docs,
        NOW,
      ),
    ).toBe(true));
  test.each([
    ['another socket', auth, { ...signed, socketId: '1234.1235' }],
    ['another channel', auth, { ...signed, channel: 'private-foobaz' }],
    ['data that was not signed', auth, { ...signed, channelData: '{}' }],
    ['no key', auth.slice(auth.indexOf(':') + 1), signed],
    ['another key', `x${auth}`, signed],
    ['nothing', '', signed],
  ])('%s: refused', (_, text, facts) => expect(channelSignatureHolds(text, facts, docs, NOW)).toBe(false));
});

test('a query is split as a URL parser splits it, escaped or not', () => {
  const character = fc.constantFrom('a', 'Z', '=', '&', '%', '+', '?', '2', '6', ';', '#', '[', '\u00e9', '~', ' ');
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 12 }), (query) => {
      const expected = [...new URLSearchParams(query)].map(([name, value]) => [name.toLowerCase(), value]);
      expect(parseQuery(query)).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

describe('presented credential', () => {
  const none = { authorization: undefined, relayKey: undefined, relaySecret: undefined };
  test('none', () => expect(presentedCredential(none, [])).toEqual({ method: 'none' }));
  test('half a key-and-secret counts as one', () =>
    expect(presentedCredential({ ...none, relaySecret: 's' }, [])).toMatchObject({ method: 'keyAndSecret', key: '' }));
  test.each(['Basic eDp5', 'rly_live_x', '', 'Bearerrly_live_x', 'Digest Bearer rly_live_x'])(
    'another scheme than Bearer: "%s"',
    (authorization) => expect(presentedCredential({ ...none, authorization }, [])).toEqual({ method: 'otherScheme' }),
  );
  test.each([
    ['Bearer', ''],
    ['bearer x', 'x'],
    ['BEARER   rly_live_ x ', 'rly_live_ x'],
  ])('a bearer, whatever it is: "%s"', (authorization, text) =>
    expect(presentedCredential({ ...none, authorization }, [])).toEqual({ method: 'bearer', sha256: tokenHash(text) }),
  );
  test('two kinds are ambiguous', () =>
    expect(presentedCredential({ ...none, relayKey: 'k' }, [['auth_key', 'k']])).toEqual({ method: 'ambiguous' }));
});
