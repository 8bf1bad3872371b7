import { z } from 'zod';
import { WEBHOOK_EVENTS } from './directory/entry-body.ts';
import { objectName } from './resource.ts';

/** A rule in both of its languages: zod for the folder, CEL for the API server. They share the message, which says what to write. */
function rule<T extends z.ZodType>(schema: T, check: (value: z.output<T>) => boolean, cel: string, message: string) {
  return schema.refine(check, message).meta({ 'x-kubernetes-validations': [{ rule: cel, message }] });
}

const LABEL = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$';
// No user information: a spec is no place for credentials. No fragment: it would not be sent.
const URL_FORM = String.raw`^https?://([-A-Za-z0-9_.]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][^\s#]*)?$`;
const PREFIX = '^[-#A-Za-z0-9_=@,.;]+$';
/** As a CEL string literal. */
const literal = (pattern: string): string => `'${pattern.replaceAll('\\', '\\\\')}'`;

const url = rule(
  z.string().max(2_048),
  (value) => new RegExp(URL_FORM).test(value) && URL.canParse(value),
  `self.matches(${literal(URL_FORM)}) && isURL(self) && (url(self).getPort() == '' || int(url(self).getPort()) <= 65535)`,
  'must be a URL such as https://example.com/pusher, with http or https, without a user or password (those belong into the Secret of headersFrom) and without #',
);

const events = rule(
  z.array(z.enum(WEBHOOK_EVENTS)).max(WEBHOOK_EVENTS.length),
  (list) => list.length > 0 && new Set(list).size === list.length,
  'size(self) > 0',
  `must name at least one event, each once: ${WEBHOOK_EVENTS.join(', ')}`,
);

const webhook = z.strictObject({
  name: rule(
    z.string().max(63),
    (value) => new RegExp(LABEL).test(value),
    `self.matches(${literal(LABEL)})`,
    'must be up to 63 lowercase letters, digits and -, beginning and ending with a letter or digit, such as presence',
  ).describe('Unique in the app; names it in conditions and metrics.'),
  url: url.describe('Where events are sent, by POST.'),
  events: events.meta({ ...events.meta(), 'x-kubernetes-list-type': 'set' }).describe('Which events are sent.'),
  headersFrom: z
    .strictObject({ name: objectName.describe('The Secret, in this namespace.') })
    .optional()
    .describe(
      'A Secret with the label relay-operator.dev/referable: "true"; each of its keys is sent as a header. Without the label nothing is sent to this webhook.',
    ),
  filter: z
    .strictObject({
      channelPrefix: rule(
        z.string().max(200),
        (value) => new RegExp(PREFIX).test(value),
        `self.matches(${literal(PREFIX)})`,
        'must be the beginning of channel names, such as presence-, without wildcards',
      )
        .optional()
        .describe('Only events of channels whose name begins so. Default: of all.'),
    })
    .optional(),
  batching: z.boolean().optional().describe('Whether several events may come in one POST. Default false.'),
});

const UNIQUE = 'each webhook must have a name of its own';

/** `spec.webhooks` of a RelayApp: a map list by name. */
export const webhooks = z
  .array(webhook)
  .max(16)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, UNIQUE)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });

export type WebhookSpec = z.infer<typeof webhook>;

/** With its defaults; sets are sorted, so that another order is no change. */
export type DefaultedWebhook = {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookSpec['events'][number][];
  /** The Secret of its headers. */
  readonly headersFrom: string | undefined;
  readonly channelPrefix: string | null;
  readonly batching: boolean;
};

/** Sorted by name. */
export function defaultedWebhooks(specs: readonly WebhookSpec[] | undefined): readonly DefaultedWebhook[] {
  return (specs ?? [])
    .map(({ name, url: address, events: names, headersFrom, filter, batching }) => ({
      name,
      url: address,
      events: names.toSorted(),
      headersFrom: headersFrom?.name,
      channelPrefix: filter?.channelPrefix ?? null,
      batching: batching ?? false,
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
