import { expect, test } from 'vitest';
import { parseChannelName } from './channel-name.ts';

test.each([
  ['orders', 'public'],
  ['private-orders', 'private'],
  // A prefix counts whole, with its hyphen.
  ['private', 'public'],
  ['privateorders', 'public'],
  ['presence', 'public'],
  ['cache', 'public'],
  ['private-encrypted', 'private'],
  ['private-cache', 'private'],
  ['a_-=@,.;Z9', 'public'],
  ['x'.repeat(164), 'public'],
])('%s is %s', (name, kind) => {
  expect(parseChannelName(name)).toEqual({ name, kind, cache: false });
});

test.each([
  ['', 'malformed'],
  ['with space', 'malformed'],
  ['ünïcode', 'malformed'],
  ['a"b', 'malformed'],
  ['a\n', 'malformed'],
  ['#server-to-user-1', 'reserved'],
  ['x'.repeat(165), 'too_long'],
  ['presence-room', 'not_served'],
  ['cache-x', 'not_served'],
  ['private-cache-x', 'not_served'],
  ['private-encrypted-x', 'not_served'],
  ['private-encrypted-cache-x', 'not_served'],
  ['presence-cache-x', 'not_served'],
])('%j is refused: %s', (name, fault) => {
  expect(parseChannelName(name)).toMatchObject({ fault });
});
