import { Counter, type Registry } from 'prom-client';

/** Labels are few and closed: never an app, a webhook or an address. */
export type WebhookMetrics = {
  /** One per POST. */
  readonly posts: Counter<'outcome'>;
  /** These count events. */
  readonly delivered: Counter;
  readonly failed: Counter<'reason'>;
  readonly dropped: Counter<'reason'>;
};

export function webhookMetrics(registry: Registry): WebhookMetrics {
  const registers = [registry];
  return {
    posts: new Counter({
      name: 'relay_webhook_posts_total',
      help: 'Requests to webhook endpoints, by how they ended (docs/webhooks.md).',
      labelNames: ['outcome'],
      registers,
    }),
    delivered: new Counter({
      name: 'relay_webhooks_delivered_total',
      help: 'Events that a webhook endpoint took, once per webhook.',
      registers,
    }),
    failed: new Counter({
      name: 'relay_webhooks_failed_total',
      help: 'Events that a webhook endpoint was not told of, by the reason of the last attempt.',
      labelNames: ['reason'],
      registers,
    }),
    dropped: new Counter({
      name: 'relay_webhooks_dropped_total',
      help: 'Events dropped before any attempt: too many wait for the endpoint (overflow), or Redis was away.',
      labelNames: ['reason'],
      registers,
    }),
  };
}
