import { z } from 'zod';
import type { WebhookEventName } from '#crds/directory/entry-body.ts';

/**
 * An event as webhooks tell it (Pusher Channels, "Webhooks": the objects of `events`). Optional fields are left out, never null.
 * `data` of a client event is a text, as on the wire.
 */
export const webhookEvent = z.discriminatedUnion('name', [
  z.object({ name: z.literal('channel_occupied'), channel: z.string() }),
  z.object({ name: z.literal('channel_vacated'), channel: z.string() }),
  z.object({ name: z.literal('member_added'), channel: z.string(), user_id: z.string() }),
  z.object({ name: z.literal('member_removed'), channel: z.string(), user_id: z.string() }),
  z.object({
    name: z.literal('client_event'),
    channel: z.string(),
    event: z.string(),
    data: z.string(),
    socket_id: z.string(),
    /** Of the sender, on presence channels. */
    user_id: z.string().exactOptional(),
  }),
  z.object({ name: z.literal('cache_miss'), channel: z.string() }),
  z.object({ name: z.literal('subscription_count'), channel: z.string(), subscription_count: z.int() }),
]);
export type WebhookEvent = z.infer<typeof webhookEvent>;

/** Takes events for the webhooks of an app. Its time is the time of the call. */
export interface WebhookSink {
  /** Never waits and never throws; what no webhook of the app wants is dropped. */
  enqueue(appId: string, events: readonly WebhookEvent[]): void;
}

/** The part of a webhook that says what it is told. */
export type WebhookFilter = { readonly events: readonly WebhookEventName[]; readonly channelPrefix: string | null };

/** Does this webhook want that event? */
export function wants({ events, channelPrefix }: WebhookFilter, { name, channel }: WebhookEvent): boolean {
  return events.includes(name) && (channelPrefix === null || channel.startsWith(channelPrefix));
}
