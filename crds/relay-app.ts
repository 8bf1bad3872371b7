import { z } from 'zod';
import { accessSpec, defaultedAccess, type DefaultedAccess } from './access.ts';
import { credentialStatuses, handledRequests, rotationStatus } from './credential-status.ts';
import { rateOf, rateSpec, type Rate } from './rate.ts';
import { credentialsSpec, defaultedCredentials, keyRotation, type DefaultedCredentials } from './app-credentials.ts';
import { conditions, type Resource } from './resource.ts';
import { scanRules, secretScanning, type ScanRules } from './secret-scanning.ts';
import type { TransitionRule } from './transition-rule.ts';
import { defaultedWebhooks, webhooks, type DefaultedWebhook } from './webhook.ts';

const IMPORT_EXCLUDES_ROTATION =
  'rotation and credentials.importFrom exclude each other: keys that are imported rotate when their Secret changes; leave one of both out';

/** What a user declares. Every field is optional, defaults are in code (`defaultedApp`), and a field is here only when it is enforced. */
export const relayAppSpec = z
  .strictObject({
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
    credentials: credentialsSpec.optional(),
    rotation: keyRotation
      .optional()
      .describe(
        'Replaces key and secret by itself. Absent: never by itself, only by the annotation relay-operator.dev/rotate.',
      ),
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
  })
  .refine(({ rotation, credentials }) => rotation === undefined || credentials?.importFrom === undefined, {
    path: ['rotation'],
    error: IMPORT_EXCLUDES_ROTATION,
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: '!has(self.rotation) || !has(self.credentials) || !has(self.credentials.importFrom)',
        message: IMPORT_EXCLUDES_ROTATION,
        fieldPath: '.rotation',
      },
    ],
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
  credentials: credentialStatuses.optional(),
  rotation: rotationStatus.optional(),
  handledRequests: handledRequests.optional(),
  binding: z
    .strictObject({ name: z.string().max(253) })
    .optional()
    .describe('Service Binding: the Secret to bind.'),
  conditions: conditions.optional(),
});

export type RelayAppStatus = z.infer<typeof relayAppStatus>;
export type RelayApp = Resource<'RelayApp', RelayAppSpec, RelayAppStatus>;

/** The spec with every default filled in. Defaults are here and not in the CRD, so that GitOps tools never see a diff. */
export type DefaultedApp = DefaultedCredentials & {
  readonly displayName: string;
  readonly enabled: boolean;
  readonly deletionPolicy: 'Delete' | 'Retain';
  readonly appId: string | undefined;
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
    ...defaultedCredentials(name, spec),
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

/** The Secrets of its namespace that an app refers to, each once. */
export function referencedSecrets(name: string, spec: RelayAppSpec): readonly string[] {
  const { importFrom, webhooks: hooks } = defaultedApp(name, spec);
  const names = [importFrom?.name, ...hooks.map(({ headersFrom }) => headersFrom)];
  return [...new Set(names.filter((secret) => secret !== undefined))];
}
