import { oldestKey } from '../auth/app-key.ts';
import { webhookSignature } from '../auth/webhook-signature.ts';
import type { App, Webhook } from '../directory/directory.ts';
import type { PostRequest } from './post.ts';
import type { Delivery } from './webhook-queue.ts';

/**
 * The POST that tells an endpoint of these events (Pusher Channels, "Webhooks"): at least one, oldest first; `time_ms` is the time of the
 * first. Signed with the app's oldest key that verifies `now` (epoch ms), as Pusher does: a receiver learns of a new one before it needs it.
 * undefined: the app has no key.
 */
export function webhookRequest(
  app: App,
  webhook: Webhook,
  deliveries: readonly Delivery[],
  now: number,
): PostRequest | undefined {
  const key = oldestKey(app.keys, now);
  if (key === undefined) return undefined;
  const body = Buffer.from(
    JSON.stringify({ time_ms: deliveries[0]?.timeMs ?? 0, events: deliveries.map(({ event }) => event) }),
  );
  const headers = new Map<string, string>();
  for (const [name, value] of webhook.headers) headers.set(name.toLowerCase(), value.reveal());
  // Last, so that no extra header can stand in for them.
  headers.set('x-pusher-key', key.key);
  headers.set('x-pusher-signature', webhookSignature(key, body));
  return { url: webhook.url, headers, body };
}
