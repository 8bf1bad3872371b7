import * as crypto from 'node:crypto';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { equalHexDigests } from '../auth/constant-time.ts';
import { presentedCredential } from '../auth/presented-credential.ts';
import { firstRefusal } from './gate.ts';
import { http, minted, token } from '#test/parts/sample-visits.ts';
import type { HttpVisit } from './visit.ts';

// Somebody who guesses must not see how near the guess was. Measuring times would show the noise of the machine; this counts what is done: for
// each kind of wrong credential the same hashes and comparisons, of texts of the same length.

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return {
    ...real,
    hash: vi.fn<typeof crypto.hash>(real.hash),
    timingSafeEqual: vi.fn<typeof crypto.timingSafeEqual>(real.timingSafeEqual),
  };
});

const hash = vi.mocked(crypto.hash);
const timingSafeEqual = vi.mocked(crypto.timingSafeEqual);

beforeEach(() => {
  hash.mockClear();
  timingSafeEqual.mockClear();
});

/** What the gate does for it, and says. */
function asked(visit: () => HttpVisit): object {
  const code = firstRefusal(visit(), 'arrival');
  return { code, hashes: hash.mock.calls.length, comparisons: timingSafeEqual.mock.calls.length };
}

describe('bearer', () => {
  /** As the door gathers it: hashed, then looked up by the hash. */
  const sending = (text: string) => (): HttpVisit => {
    const headers = { authorization: `Bearer ${text}`, relayKey: undefined, relaySecret: undefined };
    const credential = presentedCredential(headers, []);
    const found = credential.method === 'bearer' && credential.sha256 === minted.sha256 ? token() : undefined;
    return http({ credential, token: found });
  };
  const other = mintToken('Live', new Uint8Array(MINT_BYTES).fill(9)).token;

  test.each([
    ['one that was never issued', other],
    ['the id of one that was', minted.token.slice(0, 19) + other.slice(19)],
    ['all but the last letter of the secret', `${minted.token.slice(0, 50)}0${minted.token.slice(51)}`],
    ['a wrong checksum', `${minted.token.slice(0, -1)}0`],
    ['no token at all', 'x'.repeat(57)],
  ])('%s: one hash, no comparison, token_unknown', (_, text) => {
    expect(asked(sending(text))).toEqual({ code: 'token_unknown', hashes: 1, comparisons: 0 });
    expect(hash.mock.calls[0]?.[1]).toHaveLength(text.length);
  });

  test('the right one costs the same', () => {
    expect(asked(sending(minted.token))).toEqual({ code: undefined, hashes: 1, comparisons: 0 });
  });
});

describe('key and secret', () => {
  const sending = (key: string, secret: string) => (): HttpVisit =>
    http({ credential: { method: 'keyAndSecret', key, secret }, token: undefined });

  test.each([
    ['a key that is not there', 'nokey', 'appsecret'],
    ['a key that is not there, and no secret', 'nokey', ''],
    ['a wrong secret', 'appkey', 'x'],
    ['a secret that begins right', 'appkey', 'appsecre'],
    ['a secret that goes on', 'appkey', 'appsecretx'],
    ['none', 'appkey', ''],
  ])('%s: both sides hashed, compared once in constant time, key_or_secret_wrong', (_, key, secret) => {
    expect(asked(sending(key, secret))).toEqual({ code: 'key_or_secret_wrong', hashes: 2, comparisons: 1 });
    for (const side of timingSafeEqual.mock.calls[0] ?? []) expect(side).toHaveLength(32);
  });

  test('the right one costs the same', () => {
    expect(asked(sending('appkey', 'appsecret'))).toEqual({ code: undefined, hashes: 2, comparisons: 1 });
  });
});

test('digits are compared as they were sent: none whose low byte is that of the right one stands for it', () => {
  const digest = 'a'.repeat(64);
  expect(equalHexDigests(digest, digest)).toBe(true);
  for (const other of ['\u0161', '\uff41', 'A', 'b'])
    expect(equalHexDigests(digest, other + digest.slice(1))).toBe(false);
});
