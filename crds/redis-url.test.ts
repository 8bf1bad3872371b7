import { expect, test } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

test.each([
  ['redis://h', { kind: 'single', tls: false, username: undefined, endpoint: { host: 'h', port: 6379 }, database: 0 }],
  ['rediss://u:a%2Fb%40c@[::1]:1/2', { tls: true, password: 'a/b@c', endpoint: { host: '::1', port: 1 }, database: 2 }],
  ['redis+cluster://:p@a,b:2', { kind: 'cluster', password: 'p', endpoints: [{ host: 'a' }, { host: 'b', port: 2 }] }],
  ['redis+sentinel://a/main?sentinelPassword=p', { masterName: 'main', sentinelPassword: 'p', endpoints: [{}] }],
])('%s', (url, expected) => {
  expect(parseRedisUrl(url)).toMatchObject(expected);
});

// A password that was not encoded is cut in the wrong place: no part of the URL is safe to repeat.
test.each([
  ['redis://u:x/hunter2@h:6379', /^the path must be .*%2F for \//],
  ['redis://u:12/hunter2@h:6379', /^the path must be /],
  ['redis://u:hunter2@x@h:6379', /^each host must be .*%40 stands for @/],
  ['redis://u:x@hunter2@h:6379', /^each host must be /],
  ['redis://u:hunter2%@h:6379', /^user and password must be percent-encoded: .*%25 for %/],
  ['redis://u:hunter2:6379', /^each host must be host or host:port/],
  ['redis+cluster://u:hunter2/x@h:6379', /^a cluster has no numbered databases/],
  ['redis+sentinel://u:hunter2/x@h:26379/main', /^each host must be /],
  [
    'redis+sentinel://h/main?sentinel_password=hunter2',
    /^the known parameters are sentinelUsername and sentinelPassword$/,
  ],
  ['redis://h?tls=hunter2', /^the known parameters are /],
  ['redis://h?sentinelPassword=hunter2', /^only redis\+sentinel:\/\/ has parameters$/],
  ['http://u:hunter2@h', /^expected redis:\/\/host:6379/],
])('%s is refused with the reason alone', (url, message) => {
  expect(() => parseRedisUrl(url)).toThrow(message);
  expect(() => parseRedisUrl(url)).not.toThrow('hunter2');
});
