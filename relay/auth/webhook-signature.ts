import type { AppKey } from '../directory/directory.ts';

/**
 * What `X-Pusher-Signature` says of a webhook (Pusher Channels, "Webhooks: Security"): HMAC-SHA256 of the raw body under the secret of the
 * key that `X-Pusher-Key` names, lower-case hex.
 */
export function webhookSignature({ signingKey }: AppKey, body: string | Buffer): string {
  return signingKey.sign(body);
}
