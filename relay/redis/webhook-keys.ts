import type { AppKeys } from './app-keys.ts';

/** Redis names of an app's webhooks; all in the slot of the app. */
export type WebhookKeys = {
  /** Stream of what happened, one entry per event, until it is known which webhooks want it: fields `event` (JSON) and `time_ms`. */
  readonly raw: string;
  /** Names the replica that sends for the app. */
  readonly lease: string;
  /** Stream of what one webhook still has to be told: fields `event` and `time_ms`. */
  readonly deliveries: (webhook: string) => string;
  /** Hash: bytes that wait, by key of `deliveries`. */
  readonly bytes: string;
  /** Stream of what people should know about the app: fields `type`, `time_ms` and `detail` (JSON). */
  readonly activity: string;
};

export function webhookKeys(keys: AppKeys, appId: string): WebhookKeys {
  const tag = keys.slot(appId);
  return {
    raw: `${tag}:webhooks`,
    lease: `${tag}:webhooks:sender`,
    deliveries: (webhook) => `${tag}:deliveries:${webhook}`,
    bytes: `${tag}:deliveries`,
    activity: `${tag}:events`,
  };
}

/** Set by the replica whose turn it is to look through all apps. @param prefix REDIS_PREFIX */
export const webhookSweepKey = (prefix: string): string => `${prefix}{rly:relays}:webhook-sweep`;
