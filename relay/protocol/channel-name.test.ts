import { expect, test } from 'vitest';
import { isCacheChannel, parseChannelName } from './channel-name.ts';

test.each([
  ['orders', 'public', false],
  ['private-orders', 'private', false],
  // A prefix counts whole, with its hyphen.
  ['private', 'public', false],
  ['privateorders', 'public', false],
  ['presence', 'public', false],
  ['cache', 'public', false],
  ['private-encrypted', 'private', false],
  ['private-cache', 'private', false],
  ['a_-=@,.;Z9', 'public', false],
  ['x'.repeat(164), 'public', false],
  ['presence-room', 'presence', false],
  ['cache-x', 'public', true],
  ['private-cache-x', 'private', true],
  ['presence-cache-x', 'presence', true],
  ['private-encrypted-x', 'encrypted', false],
  ['private-encrypted-cache-x', 'encrypted', true],
  ['#server-to-user-7', 'user', false],
  ['#server-to-user-a b"é', 'user', false],
  [`#server-to-user-${'x'.repeat(128)}`, 'user', false],
])('%s is %s, cache: %s', (name, kind, cache) => {
  expect(parseChannelName(name)).toEqual({ name, kind, cache });
  expect(isCacheChannel(name)).toBe(cache);
});

test.each([
  ['', 'malformed'],
  ['with space', 'malformed'],
  ['ünïcode', 'malformed'],
  ['a"b', 'malformed'],
  ['a\n', 'malformed'],
  ['#user-1', 'reserved'],
  ['#server-to-user-', 'reserved'],
  ['#server-to-user-a\nb', 'reserved'],
  ['#server-to-user-\ud800', 'reserved'],
  [`#server-to-user-${'x'.repeat(129)}`, 'reserved'],
  ['#', 'reserved'],
  ['x'.repeat(165), 'too_long'],
])('%j is refused: %s', (name, fault) => {
  expect(parseChannelName(name)).toMatchObject({ fault });
});
