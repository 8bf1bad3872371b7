import { describe, expect, test } from 'vitest';
import { parseChannelData, parseUserData } from './user-data.ts';

describe('channel_data', () => {
  test.each([
    ['{"user_id":"7","user_info":{"name":"Ada"}}', { userId: '7', info: '{"name":"Ada"}' }],
    ['{"user_id":7}', { userId: '7', info: 'null' }],
    ['{"user_id":"__proto__"}', { userId: '__proto__', info: 'null' }],
    [`{"user_id":"${'x'.repeat(128)}"}`, { userId: 'x'.repeat(128), info: 'null' }],
    [`{"user_id":"7","user_info":"${'x'.repeat(1_022)}"}`, { userId: '7', info: `"${'x'.repeat(1_022)}"` }],
  ])('%s', (text, identity) => expect(parseChannelData(text)).toEqual(identity));

  test.each([
    ['', 'user_id'],
    ['null', 'user_id'],
    ['{}', 'user_id'],
    ['{"user_id":""}', '128'],
    ['{"user_id":{}}', 'user_id'],
    [`{"user_id":"${'x'.repeat(129)}"}`, '128'],
    ['{"user_id":"a\\nb"}', '128'],
    [`{"user_id":"7","user_info":"${'x'.repeat(1_023)}"}`, '1024 bytes'],
    [`{"user_id":"7","user_info":"${'é'.repeat(600)}"}`, '1024 bytes'],
    [`{"user_id":"7","user_info":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, '1024 bytes'],
  ])('%.40s is refused: %s', (text, fault) => {
    expect(parseChannelData(text)).toEqual({ fault: expect.stringContaining(fault) as string });
  });
});

describe('user_data', () => {
  test.each([
    ['{"id":"7"}', { id: '7', info: 'null', watchlist: [], watchlistCut: false }],
    ['{"id":"7","user_info":{"a":1}}', { id: '7', info: '{"a":1}', watchlist: [], watchlistCut: false }],
    ['{"id":"7","watchlist":["8","8",9]}', { id: '7', info: 'null', watchlist: ['8', '9'], watchlistCut: false }],
    ['{"id":"7","watchlist":[{},"",null]}', { id: '7', info: 'null', watchlist: [], watchlistCut: false }],
    ['{"id":"7","watchlist":"8"}', { id: '7', info: 'null', watchlist: [], watchlistCut: false }],
    [`{"id":"7","user_info":"${'x'.repeat(2_000)}"}`, { id: '7', info: undefined, watchlist: [], watchlistCut: false }],
  ])('%.60s', (text, user) => expect(parseUserData(text)).toEqual(user));

  test('of more than 100 to watch the first 100 count', () => {
    const ids = Array.from({ length: 101 }, (_, n) => `u${n}`);
    const user = parseUserData(JSON.stringify({ id: '7', watchlist: ids }));
    expect(user).toMatchObject({ watchlist: ids.slice(0, 100), watchlistCut: true });
    expect(parseUserData(JSON.stringify({ id: '7', watchlist: ids.slice(1) }))).toMatchObject({ watchlistCut: false });
  });

  test.each(['', '[]', '{}', '{"id":7}', '{"id":""}', `{"id":"${'x'.repeat(129)}"}`])('%.30s is refused', (text) => {
    expect(parseUserData(text)).toBeUndefined();
  });
});
