import { Secret } from '#crds/keyring.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The URL of an incoming webhook. Whoever knows it can post there, so it is a secret. Throws an Error that repeats nothing of it. */
export function parseWebhookUrl(text: string): Secret {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.has(url.hostname));
  if (url === undefined || !secure)
    throw new Error('must be an https:// URL (http:// only on this machine), such as that of a Slack incoming webhook');
  if (url.username !== '' || url.password !== '') throw new Error('must not have a user');
  return new Secret(text);
}
