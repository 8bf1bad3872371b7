import { expect, test } from 'vitest';
import { readConfig } from './config.ts';

const key = Buffer.alloc(32, 1).toString('base64');
const environment = { REDIS_URL: 'redis://user:hunter2@localhost', DIRECTORY_KEYS: `a:${key}` };

test('defaults, environment, and flags over both', () => {
  const result = readConfig(['--port', '7000'], { ...environment, PORT: '7001', LOG_LEVEL: '' });
  expect(result).toMatchObject({ kind: 'settings', settings: { PORT: 7000, METRICS_PORT: 9601, LOG_LEVEL: 'info' } });
});

test('what is wrong is said by name, all at once, and never with the secret', () => {
  const result = readConfig([], { REDIS_URL: 'http://user:hunter2@host', DIRECTORY_KEYS: 'a:hunter2', PORT: 'x' });
  expect(result.kind).toBe('invalid');
  const text = result.kind === 'invalid' ? result.text : '';
  for (const name of ['REDIS_URL', 'DIRECTORY_KEYS', 'PORT']) expect(text).toContain(name);
  expect(text).toContain('PORT: expected a number\n');
  expect(text).not.toContain('hunter2');
});

test('an unknown flag is refused', () => {
  expect(readConfig(['--prot', '1'], environment)).toMatchObject({ kind: 'invalid' });
});

test('a config prints without its secrets', () => {
  const result = readConfig([], { ...environment, ...proxies, PROXY_SECRET: 'proxysecret'.repeat(4) });
  expect(result.kind).toBe('settings');
  expect(JSON.stringify(result)).not.toMatch(/hunter2|AQEB|proxysecret/);
});

test('help names every setting, and what holds without it', () => {
  const result = readConfig(['--help'], {});
  const text = result.kind === 'help' ? result.text : '';
  expect(text).toMatch(/--redis-url, REDIS_URL[\s\S]*--relay-drain-seconds/);
  expect(text).toMatch(/, RELAY_MAX_UNSENT_BYTES\n.* Default: 1048576\.\n/);
  expect(text).toMatch(/, DIRECTORY_KEYS\n.* -base64 32\. Required\.\n/);
  const described = [...text.matchAll(/^ {2}--\S+, [A-Z_]+\n {6}(.*)$/gm)].map(([, line = '']) => line);
  expect(described.filter((line) => !/ (Required\.|Default: .*\.)$/.test(line))).toEqual([]);
});

const proxies = { TRUSTED_PROXIES: '10.0.0.0/8' };

test.each([
  [{ TLS_CERT_FILE: 'tls.crt' }, /TLS_KEY_FILE/],
  [{ TLS_KEY_FILE: 'tls.key' }, /TLS_CERT_FILE/],
  [{ REQUIRE_TLS: 'true' }, /REQUIRE_TLS.*everybody/],
  [{ PROXY_PROTOCOL: 'required' }, /PROXY_PROTOCOL.*TRUSTED_PROXIES/],
  [{ TLS_CLIENT_CERTIFICATES: 'request' }, /TLS_CLIENT_CERTIFICATES: without TLS_CERT_FILE/],
  [{ PROXY_CERTIFICATES: 'ab'.repeat(32), ...proxies }, /PROXY_CERTIFICATES.*TLS_CLIENT_CERTIFICATES=request/],
  [{ PROXY_CERTIFICATES: 'ab'.repeat(20), ...proxies }, /PROXY_CERTIFICATES: (ab)+ is no SHA-256 fingerprint/],
  [{ PROXY_SECRET: 'x'.repeat(32) }, /PROXY_SECRET.*TRUSTED_PROXIES/],
  [{ PROXY_SECRET: 'hunter2', ...proxies }, /^PROXY_SECRET: expected 32 characters or more((?!hunter2)[^])*$/],
  [{ CLIENT_CERT_HEADERS: 'x-ssl-cert', ...proxies }, /CLIENT_CERT_HEADERS: expected x-client-cert-fingerprint, /],
  [{ TRUSTED_PROXIES: '10.0.0.0/8, ingress' }, /TRUSTED_PROXIES: ingress is no address/],
  [{ REDIS_TLS_SERVER_NAME: 'redis.internal' }, /REDIS_URL must start with rediss/],
  [{ REDIS_TLS_CA_FILE: '/nowhere/ca.crt' }, /REDIS_TLS_CA_FILE: the file cannot be read \(ENOENT\)/],
  [{ REDIS_TLS_CA_FILE: import.meta.filename }, /REDIS_TLS_CA_FILE: the file is not PEM/],
])('refuses settings of the way in that are not what somebody meant: %o', (tls, message) => {
  const result = readConfig([], { ...environment, ...tls });
  expect(result.kind === 'invalid' ? result.text : '').toMatch(message);
});

test.each([
  { TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: 'tls.key', REQUIRE_TLS: 'false' },
  { TRUSTED_PROXIES: '10.0.0.0/8', REQUIRE_TLS: 'true' },
  { TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::1', FORWARDED_HEADER: 'forwarded', PROXY_PROTOCOL: 'required' },
  {
    CLIENT_CERT_HEADERS: 'Ssl-Client-Cert, X-Forwarded-Client-Cert',
    PROXY_SECRET: `${'x'.repeat(32)},${'y'.repeat(64)}`,
    ...proxies,
  },
  {
    TLS_CERT_FILE: 'tls.crt',
    TLS_KEY_FILE: 'tls.key',
    TLS_CLIENT_CERTIFICATES: 'request',
    PROXY_CERTIFICATES: `${'AB:'.repeat(31)}AB`,
    ...proxies,
  },
])('takes %o', (tls) => {
  expect(readConfig([], { ...environment, ...tls }).kind).toBe('settings');
});
