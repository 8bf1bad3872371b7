import type { App } from '../directory/directory.ts';
import type { Rules } from './store.ts';

const NONE: Rules = { webhooks: new Set(), subscriptionCounts: false };

/** What an app wants to have announced. Prefixes of channels are looked at when a webhook is sent. */
export function rulesOf(app: App | undefined): Rules {
  if (app === undefined) return NONE;
  const { webhooks, channels } = app;
  if (webhooks.length === 0 && !channels.subscriptionCounts) return NONE;
  return {
    webhooks: new Set(webhooks.flatMap(({ events }) => events)),
    subscriptionCounts: channels.subscriptionCounts,
  };
}
