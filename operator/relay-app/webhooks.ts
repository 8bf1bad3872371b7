import { REASON } from '#crds/conditions.ts';
import type { Secret } from '#crds/keyring.ts';
import { defaultedApp } from '#crds/relay-app.ts';
import type { DefaultedWebhook } from '#crds/webhook.ts';
import type { Caution } from '../reconcile/conditions.ts';
import type { WebhookHeaders, WebhookPolicy } from '../registry/app-registry.ts';
import type { AppSnapshot } from './snapshot.ts';
import { referableData } from './reference.ts';
import { webhookHeaders, type ParsedHeaders } from './webhook-headers.ts';

/** What is published of an app's webhooks. */
export type Webhooks = {
  readonly policy: readonly WebhookPolicy[];
  readonly headers: WebhookHeaders;
  /** Why one is left out. */
  readonly cautions: readonly Caution[];
};

/**
 * The webhooks of the snapshot's object with the headers of their Secrets. One whose headers cannot be had is left out: without them its
 * receiver would refuse the events, or worse, take them for somebody else's. The app and its other webhooks go on.
 */
export function webhooksOf(snapshot: Pick<AppSnapshot, 'object' | 'references'>): Webhooks {
  const { object } = snapshot;
  const policy: WebhookPolicy[] = [];
  const headers = new Map<string, Secret>();
  const cautions: Caution[] = [];
  for (const webhook of defaultedApp(object.metadata.name, object.spec).webhooks) {
    const { name, url, headersFrom } = webhook;
    // What CEL cannot know, such as http://256.256.256.256/: no relay could send there.
    if (!URL.canParse(url)) {
      cautions.push({
        reason: REASON.UrlInvalid,
        message: `nothing is sent to webhook ${name}: its url cannot be read`,
      });
      continue;
    }
    const found = headersFrom === undefined ? undefined : headersOf(snapshot, headersFrom);
    if (found !== undefined && 'reason' in found) {
      cautions.push({ ...found, message: `nothing is sent to webhook ${name}: ${found.message}` });
      continue;
    }
    policy.push(policyOf(webhook));
    if (found !== undefined) headers.set(name, found.headers);
  }
  return { policy, headers, cautions };
}

/** Whether both would send the same. */
export function sameHeaders(one: WebhookHeaders, other: WebhookHeaders): boolean {
  return one.size === other.size && [...one].every(([name, header]) => header.reveal() === other.get(name)?.reveal());
}

function policyOf({ name, url, events, channelPrefix, batching }: DefaultedWebhook): WebhookPolicy {
  return { name, url, events: [...events], channelPrefix, batching };
}

function headersOf(
  snapshot: Pick<AppSnapshot, 'object' | 'references'>,
  secretName: string,
): Extract<ParsedHeaders, { headers: unknown }> | Caution {
  const found = referableData(snapshot, secretName, {
    allows: 'be sent',
    instead: 'make a Secret of its own for the headers',
  });
  if (!('data' in found)) return found;
  const parsed = webhookHeaders(found.data);
  if ('headers' in parsed) return parsed;
  return {
    reason: REASON.HeadersInvalid,
    message: `Secret ${secretName} cannot be sent as headers: ${parsed.invalid}`,
  };
}
