import { expect, test } from 'vitest';
import { readConfig } from './config.ts';

const KEYS = `one:${Buffer.alloc(32, 1).toString('base64')}`;
const ENVIRONMENT = {
  DATABASE_URL: 'postgres://operator:hunter2@db/relay',
  REDIS_URL: 'redis://redis',
  RELAY_PUBLIC_URL: 'https://relay.example.com',
  ENCRYPTION_KEYS: KEYS,
  DIRECTORY_KEYS: KEYS,
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
};

test.each([
  ['nonsense', 'must be an http:// or https:// URL'],
  ['ftp://relay.example.com', 'must be an http:// or https:// URL'],
  ['https://relay.example.com/path', 'must not have a path'],
  ['https://relay.example.com/?a=1', 'must not have a path'],
  ['https://user:hunter2@relay.example.com', 'must not have a path'],
])('RELAY_PUBLIC_URL=%s is refused with a line that says why', (url, expected) => {
  const result = readConfig([], { ...ENVIRONMENT, RELAY_PUBLIC_URL: url });
  expect(result.kind === 'invalid' && result.text).toContain(`RELAY_PUBLIC_URL: ${expected}`);
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test('a URL ends without a slash, so that a path can follow it', () => {
  const result = readConfig([], { ...ENVIRONMENT, RELAY_PUBLIC_URL: 'https://relay.example.com:8443/' });
  expect(result).toMatchObject({ settings: { RELAY_PUBLIC_URL: 'https://relay.example.com:8443' } });
});

test('a secret that was given without its flag is not repeated', () => {
  const result = readConfig([ENVIRONMENT.DATABASE_URL], ENVIRONMENT);
  expect(result.kind === 'invalid' && result.text).toContain('--name=value');
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test('a namespace that is named twice is watched once', () => {
  const result = readConfig(['--watch-namespaces', 'shop, blog,shop,'], ENVIRONMENT);
  expect(result).toMatchObject({ settings: { WATCH_NAMESPACES: ['shop', 'blog'] } });
});

test.each([
  [{ DATABASE_TLS_CA_FILE: '/nowhere/ca.crt' }, /DATABASE_TLS_CA_FILE: the file cannot be read \(ENOENT\)/],
  [{ DATABASE_URL: 'postgres://operator:12#hunter2@db/relay' }, /DATABASE_URL: must be .*%23 for #/],
  [{ DATABASE_URL: 'postgres://operator:12?hunter2@db/relay' }, /DATABASE_URL: must be .*%3F for \?/],
  [
    { DATABASE_TLS_SERVER_NAME: 'db', DATABASE_URL: 'postgres://db/relay?sslmode=disable' },
    /DATABASE_URL must not have ssl parameters/,
  ],
  [{ REDIS_TLS_SERVER_NAME: 'redis' }, /REDIS_URL must start with rediss/],
])('refuses TLS settings that are not what somebody meant: %o', (tls, message) => {
  const result = readConfig([], { ...ENVIRONMENT, ...tls });
  expect(result.kind === 'invalid' ? result.text : '').toMatch(message);
});

test.each([
  [{ SMTP_URL: 'hunter2' }, /SMTP_URL: must be smtp:/],
  [{ SMTP_URL: 'smtp://mail' }, /SMTP_FROM: is required/],
  [{ SMTP_URL: 'smtp://mail', SMTP_FROM: 'Relay <relay@example.com>' }, /SMTP_FROM: must be a mail address/],
  [{ SMTP_FROM: 'relay@example.com' }, /without SMTP_URL nothing is sent/],
  [{ NOTIFY_WEBHOOK_URL: 'http://chat.example.com/hunter2' }, /NOTIFY_WEBHOOK_URL: must be an https/],
])('refuses settings of notifications that would not work: %o', (settings, message) => {
  const result = readConfig([], { ...ENVIRONMENT, ...settings });
  expect(result.kind === 'invalid' ? result.text : '').toMatch(message);
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test('the secrets of notifications do not print', () => {
  const result = readConfig([], {
    ...ENVIRONMENT,
    SMTP_URL: 'smtps://relay:hunter2@mail.example.com',
    SMTP_FROM: 'relay@example.com',
    NOTIFY_WEBHOOK_URL: 'https://chat.example.com/hunter2',
  });
  expect(result).toMatchObject({ settings: { SMTP_URL: { host: 'mail.example.com', port: 465, tls: 'Implicit' } } });
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test.each([
  ['mysql://db/relay', /must start with postgres:/],
  ['postgres://operator:x#hunter2@db/relay', /in user and password %40 stands for @, .*%23 for #/],
  ['postgres://operator:x/hunter2@db/relay', /must be postgres:\/\/user:password@host/],
  // Taken as it stands, that is host `operator` with port 12.
  ['postgres://operator:12/hunter2@db/relay', /%2F for \//],
  ['postgres://operator:hunter2:5432/relay', /must be postgres:\/\/user:password@host/],
  ['postgres:///relay?user=hunter2', /must name a host/],
])('DATABASE_URL=%s is refused at start, and not when it is first used', (url, message) => {
  const result = readConfig([], { ...ENVIRONMENT, DATABASE_URL: url });
  expect(result.kind === 'invalid' ? result.text : '').toMatch(message);
  expect(JSON.stringify(result)).not.toContain('hunter2');
});

test.each(['postgresql://db', 'postgres://u:p%2Fq@db:5432/relay?sslmode=require', 'postgres:///relay?host=/run/pg'])(
  'DATABASE_URL=%s is taken',
  (url) => {
    expect(readConfig([], { ...ENVIRONMENT, DATABASE_URL: url }).kind).toBe('settings');
  },
);

test.each([
  [{ WATCH_NAMESPACES: 'shop;billing' }, /WATCH_NAMESPACES: must be names of namespaces with commas between/],
  [{ POD_NAMESPACE: 'Relay' }, /POD_NAMESPACE: must be the name of a namespace/],
  [{ LEASE_NAME: 'Relay Operator' }, /LEASE_NAME: must be a lowercase DNS name/],
  [{ KUBECONFIG: '/nowhere/config' }, /KUBECONFIG: the file cannot be read \(ENOENT\)/],
  [{ KUBECONFIG: import.meta.filename }, /KUBECONFIG: the file (is no kubeconfig|has no current cluster)/],
  [{ KUBERNETES_SERVICE_HOST: undefined }, /^KUBECONFIG: is required outside of a cluster/],
])('%o is refused by name', (settings, message) => {
  const result = readConfig([], { ...ENVIRONMENT, ...settings });
  expect(result.kind === 'invalid' ? result.text : '').toMatch(message);
});
