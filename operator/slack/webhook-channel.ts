import type { Secret } from '#crds/keyring.ts';
import { DeliveryError, type Channel } from '../notifications/channel.ts';
import { chatText } from '../notifications/text.ts';

/**
 * A webhook that takes what Slack's incoming webhooks take, `{"text": …}` (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks):
 * Slack, Mattermost, Rocket.Chat and others. Taken is what is answered with 2xx.
 */
export function createWebhookChannel(url: Secret): Channel {
  return {
    send: async ({ id, message }, signal) => {
      const response = await fetch(url.reveal(), {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'relay-operator', 'x-relay-notification-id': id },
        body: JSON.stringify({ text: chatText(message) }),
        // Only the URL that was configured gets to see what is said.
        redirect: 'manual',
        signal,
      }).catch((error: unknown) => {
        throw new DeliveryError(codeOf(error), { about: 'Server', cause: error });
      });
      // Nobody reads it, and an unread body would keep the connection.
      await response.body?.cancel().catch(() => {});
      if (response.ok) return;
      const retryAfterMs = retryAfter(response.headers.get('retry-after'));
      throw new DeliveryError(`HTTP ${response.status}`, { about: 'Server', retryAfterMs });
    },
  };
}

/** Never the message of an error: it may repeat the URL. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const cause: unknown = error.cause;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : error.name;
}

/** RFC 9110, 10.2.3, in seconds. The form with a date is not waited for: the usual pauses are good enough. */
function retryAfter(value: string | null): number | undefined {
  return value !== null && /^[0-9]{1,6}$/.test(value) ? Number(value) * 1_000 : undefined;
}
