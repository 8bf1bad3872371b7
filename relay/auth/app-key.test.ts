import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import { findKeys, oldestKey } from './app-key.ts';
import { SigningKey } from './signing-key.ts';

const NOW = 1_000_000;
const key = (id: string, name: string, expiresAt: number | null = null, pending = false) => ({
  id,
  key: name,
  secret: new Secret(id),
  signingKey: new SigningKey(id),
  expiresAt,
  pending,
});
const ids = (keys: readonly { readonly id: string }[]): string[] => keys.map(({ id }) => id);
const KEYS = [
  key('ended', 'a', NOW),
  key('ending', 'a', NOW + 1),
  key('active', 'b'),
  key('shared', 'a'),
  key('pending', 'c', null, true),
];

test('every key with this public part that verifies now, a pending one too', () => {
  expect(ids(findKeys(KEYS, 'a', NOW))).toEqual(['ending', 'shared']);
  expect(ids(findKeys(KEYS, 'a', NOW + 1))).toEqual(['shared']);
  expect(ids(findKeys(KEYS, 'c', NOW))).toEqual(['pending']);
  expect(ids(findKeys(KEYS, '', NOW))).toEqual([]);
});

test('the oldest one signs, as long as it verifies; a pending one never', () => {
  expect(oldestKey(KEYS, NOW)?.id).toBe('ending');
  expect(oldestKey(KEYS, NOW + 1)?.id).toBe('active');
  expect(oldestKey(KEYS.slice(4), NOW)).toBeUndefined();
});
