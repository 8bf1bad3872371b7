import { z } from 'zod';
import { accessSpec, defaultedAccess, type DefaultedAccess } from './access.ts';
import { rateOf, rateSpec, type Rate } from './rate.ts';
import { conditions, objectName, type Resource } from './resource.ts';
import { scanRules, secretScanning, type ScanRules } from './secret-scanning.ts';
import type { TransitionRule } from './transition-rule.ts';
import { defaultedWebhooks, webhooks, type DefaultedWebhook } from './webhook.ts';

// Of labels and annotations (k8s.io/apimachinery, util/validation): an optional DNS prefix and a name. Checked here, because the API server
// checks them only on the Secret itself, and refuses the whole of it.
const metadataKey = z
  .string()
  .regex(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'must be a name such as team, or with a DNS prefix example.com/team',
  );
/** What zod says with `metadataKey`, for the API server. */
const metadataKeys = {
  maxProperties: 64,
  'x-kubernetes-validations': [
    {
      rule: "self.all(key, size(key) <= 317 && key.matches('^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
      message: 'a key must be a name such as team, or with a DNS prefix example.com/team',
    },
  ],
};
const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    'must be letters, digits, - _ and . only, and begin and end with a letter or digit',
  );

const template = z.strictObject({
  labels: z.record(metadataKey, labelValue).meta(metadataKeys).optional().describe('Labels added to the Secret.'),
  annotations: z
    .record(metadataKey, z.string())
    .meta(metadataKeys)
    .optional()
    .describe("Annotations added to the Secret, such as Reloader's."),
});

/** What a user declares. Every field is optional, defaults are in code (`defaultedApp`), and a field is here only when it is enforced. */
export const relayAppSpec = z.strictObject({
  displayName: z.string().max(253).optional().describe('A name for people; shown by kubectl get -o wide.'),
  enabled: z
    .boolean()
    .optional()
    .describe('false: every request is refused and open sockets are closed with 4003. Default true.'),
  deletionPolicy: z
    .enum(['Delete', 'Retain'])
    .optional()
    .describe(
      'What deleting the object does to its id and keys. Delete (default): gone for good after 7 days. Retain: kept for the next object of this namespace and name.',
    ),
  appId: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, 'must be the id of a retained app: 1 to 15 digits, in quotes, not starting with 0')
    .optional()
    .describe(
      'Immutable. Takes back the retained or deleted app that has this id; it must have had this namespace and name.',
    ),
  credentials: z
    .strictObject({
      secretName: objectName.optional().describe('The Secret that the operator writes. Default {name}-relay.'),
      endpoint: z.enum(['Public', 'Internal']).optional().describe('Which host the Secret names. Default Public.'),
      template: template.optional().describe('Metadata of the Secret.'),
    })
    .optional(),
  authentication: z
    .strictObject({
      bearer: z.boolean().optional().describe('Authorization: Bearer rly_… Default true.'),
      keyAndSecret: z.boolean().optional().describe('X-Relay-Key and X-Relay-Secret. Default true.'),
      signature: z.boolean().optional().describe('The Pusher request signature. Default true.'),
    })
    .optional()
    .describe('How HTTP requests may authenticate. Each is on by default.'),
  access: accessSpec.optional().describe('Who gets in, whatever credential they have. Default: everybody.'),
  limits: z
    .strictObject({
      rate: rateSpec
        .optional()
        .describe(
          "How many requests the app may send, over all replicas; beyond, 429. Connects have a budget of the same size; beyond, 4100. Default: the installation's (none).",
        ),
      connections: z
        .int()
        .min(0)
        .max(10_000_000)
        .optional()
        .describe('Open sockets over all replicas; beyond, 4004. Default: no limit.'),
      eventBytes: z
        .int()
        .min(1)
        .max(1_048_576)
        .optional()
        .describe("Size of one event's data; beyond, 413. Default 10240."),
      clientEventsPerSecond: z
        .int()
        .min(1)
        .max(1_000)
        .optional()
        .describe('Client events of one connection; beyond, error 4301. Default 10.'),
      presenceMembers: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('Distinct users of one presence channel; beyond, the subscription is refused. Default 100.'),
    })
    .optional(),
  channels: z
    .strictObject({
      clientEvents: z.boolean().optional().describe('Whether clients may send client-… events. Default true.'),
      encrypted: z
        .boolean()
        .optional()
        .describe('Whether private-encrypted-… channels are served, end to end encrypted. Default true.'),
      subscriptionCounts: z
        .boolean()
        .optional()
        .describe(
          'Whether subscribers are told how many there are (pusher_internal:subscription_count). Default false.',
        ),
      watchlists: z
        .boolean()
        .optional()
        .describe('Whether signed-in users learn when users of their watchlist come and go. Default false.'),
      cacheSeconds: z
        .int()
        .min(1)
        .max(86_400)
        .optional()
        .describe('How long cache-… channels keep their last event. Default 1800.'),
    })
    .optional(),
  secretScanning: secretScanning
    .optional()
    .describe('Looks for credentials and personal data in events, client events and user_info. Default: not.'),
  webhooks: webhooks.optional().describe('Where to tell of what happens on the channels, by HTTP POST.'),
});

export type RelayAppSpec = z.infer<typeof relayAppSpec>;

export const relayAppTransitions: readonly TransitionRule<RelayAppSpec>[] = [
  {
    cel: "(has(self.appId) ? self.appId : '') == (has(oldSelf.appId) ? oldSelf.appId : '')",
    message: 'appId is immutable: delete the app and apply it again with the appId that it shall take back',
    field: 'spec.appId',
    check: (self, oldSelf) => self.appId === oldSelf.appId,
  },
];

const credentialStatus = z.strictObject({
  id: z.string().max(64),
  state: z.enum(['Pending', 'Active', 'Retiring', 'Revoked']),
  createdAt: z.string().meta({ format: 'date-time' }),
  expiresAt: z.string().meta({ format: 'date-time' }).optional(),
});

export const relayAppStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional(),
  appId: z.string().max(64).optional(),
  key: z.string().max(64).optional().describe('The public key that clients connect with.'),
  secretName: z.string().max(253).optional(),
  revision: z
    .int()
    .min(0)
    .optional()
    .describe('The directory revision at which this app last changed; Enforced speaks of it.'),
  credentials: z
    .array(credentialStatus)
    .max(16)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['id'] })
    .optional(),
  binding: z
    .strictObject({ name: z.string().max(253) })
    .optional()
    .describe('Service Binding: the Secret to bind.'),
  conditions: conditions.optional(),
});

export type RelayAppStatus = z.infer<typeof relayAppStatus>;
export type RelayApp = Resource<'RelayApp', RelayAppSpec, RelayAppStatus>;

/** The spec with every default filled in. Defaults are here and not in the CRD, so that GitOps tools never see a diff. */
export type DefaultedApp = {
  readonly displayName: string;
  readonly enabled: boolean;
  readonly deletionPolicy: 'Delete' | 'Retain';
  readonly appId: string | undefined;
  readonly secretName: string;
  readonly endpoint: 'Public' | 'Internal';
  readonly template: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly authentication: { readonly bearer: boolean; readonly keyAndSecret: boolean; readonly signature: boolean };
  readonly access: DefaultedAccess;
  readonly limits: {
    readonly connections: number | null;
    readonly eventBytes: number;
    readonly clientEventsPerSecond: number;
    readonly presenceMembers: number;
    /** null: the installation's default. */
    readonly rate: Rate | null;
  };
  readonly channels: {
    readonly clientEvents: boolean;
    readonly encrypted: boolean;
    readonly subscriptionCounts: boolean;
    readonly watchlists: boolean;
    readonly cacheSeconds: number;
  };
  /** null: nothing is looked for. */
  readonly secretScanning: ScanRules | null;
  readonly webhooks: readonly DefaultedWebhook[];
};

export function defaultedApp(name: string, spec: RelayAppSpec): DefaultedApp {
  return {
    displayName: spec.displayName ?? name,
    enabled: spec.enabled ?? true,
    deletionPolicy: spec.deletionPolicy ?? 'Delete',
    appId: spec.appId,
    secretName: spec.credentials?.secretName ?? `${name}-relay`,
    endpoint: spec.credentials?.endpoint ?? 'Public',
    template: {
      labels: spec.credentials?.template?.labels ?? {},
      annotations: spec.credentials?.template?.annotations ?? {},
    },
    authentication: {
      bearer: spec.authentication?.bearer ?? true,
      keyAndSecret: spec.authentication?.keyAndSecret ?? true,
      signature: spec.authentication?.signature ?? true,
    },
    access: defaultedAccess(spec.access),
    limits: {
      connections: spec.limits?.connections ?? null,
      eventBytes: spec.limits?.eventBytes ?? 10_240,
      clientEventsPerSecond: spec.limits?.clientEventsPerSecond ?? 10,
      presenceMembers: spec.limits?.presenceMembers ?? 100,
      rate: rateOf(spec.limits?.rate),
    },
    channels: {
      clientEvents: spec.channels?.clientEvents ?? true,
      encrypted: spec.channels?.encrypted ?? true,
      subscriptionCounts: spec.channels?.subscriptionCounts ?? false,
      watchlists: spec.channels?.watchlists ?? false,
      cacheSeconds: spec.channels?.cacheSeconds ?? 1_800,
    },
    secretScanning: scanRules(spec.secretScanning),
    webhooks: defaultedWebhooks(spec.webhooks),
  };
}
