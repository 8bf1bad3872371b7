import { expect, test } from 'vitest';
import { parseSmtpUrl } from './smtp-server.ts';

test.each([
  ['smtp://mail.example.com', { host: 'mail.example.com', port: 587, tls: 'StartTls' }],
  ['smtp://mail.example.com:25/', { port: 25, tls: 'StartTls' }],
  ['smtps://mail.example.com', { port: 465, tls: 'Implicit' }],
  ['smtp://localhost', { port: 587, tls: 'StartTls' }],
  ['smtp://localhost:1025?starttls=never', { host: 'localhost', port: 1025, tls: 'None' }],
  ['smtp://[::1]:1025?starttls=never', { host: '::1', tls: 'None' }],
])('%s', (url, expected) => {
  expect(parseSmtpUrl(url)).toMatchObject({ ...expected, login: undefined });
});

test('user and password are decoded, and the password does not print', () => {
  const server = parseSmtpUrl('smtps://relay%40example.com:p%2Fw%3A1@mail.example.com');
  expect(server.login?.user).toBe('relay@example.com');
  expect(server.login?.password.reveal()).toBe('p/w:1');
  expect(JSON.stringify(server)).not.toContain('p/w');
});

test.each([
  ['nonsense hunter2', /must be smtp:/],
  ['http://relay:hunter2@mail', /must be smtp:/],
  ['smtp:///', /must be smtp:/],
  ['smtp://relay:hunter2@mail/path', /must not have a path/],
  ['smtp://relay:hunter2@mail.example.com?starttls=never', /on this machine/],
  ['smtps://relay:hunter2@localhost?starttls=never', /contradicts/],
  ['smtp://relay:hunter2@mail?tls=off', /knows one parameter/],
  ['smtp://relay:hunter2@localhost?starttls=never&starttls=never', /knows one parameter/],
  ['smtp://hunter2@mail', /belong together/],
  ['smtp://relay:hunter2%@mail', /percent/],
])('%s is refused without being repeated', (url, message) => {
  expect(() => parseSmtpUrl(url)).toThrow(message);
  expect(() => parseSmtpUrl(url)).not.toThrow(/hunter2/);
});
