import { z } from 'zod';
import { entryScanRules } from '../secret-scanning.ts';

/**
 * What the operator publishes about one app, token and client certificate, and the relay enforces. Version 1 of all: a relay that does not know a
 * version or a name in `crit` keeps the older entry and says so (directory.md, rule 8), so adding an enforced field means naming it there.
 */
export const ENTRY_VERSION = 1;

export const WEBHOOK_EVENTS = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
] as const;
export type WebhookEventName = (typeof WEBHOOK_EVENTS)[number];

const rate = z.object({ requestsPerMinute: z.int().min(1), burst: z.int().min(1) });

const webhookEndpoint = z.object({
  /** Unique in the app. */
  name: z.string(),
  url: z.string(),
  events: z.array(z.enum(WEBHOOK_EVENTS)),
  /** Only channels whose name begins so; null: all. */
  channelPrefix: z.string().nullable(),
  /** Several events in one POST. */
  batching: z.boolean(),
  /** JSON object of extra headers, sealed for owner `[appId]`, field `webhook.{name}.headers`, with DIRECTORY_KEYS; null: none. */
  headers: z.string().nullable(),
});
export type WebhookEndpointBody = z.infer<typeof webhookEndpoint>;

const appKey = z.object({
  id: z.string(),
  key: z.string(),
  /** Sealed for owner `[appId]`, field `key.{id}`, with DIRECTORY_KEYS (crds/sealed.ts). */
  secret: z.string(),
  /** Epoch milliseconds; the relay refuses it from then on by its own clock, so that a dead operator keeps no old key alive. null: no end. */
  expiresAt: z.int().nullable().default(null),
  /** Not handed out yet: it verifies, so that nobody who gets it is refused, and nothing is signed with it. */
  pending: z.boolean().default(false),
});

/** Who gets in, whatever credential they have; null: no restriction. */
const access = z.object({
  /** Addresses and blocks, as the user wrote them. */
  ipAllowlist: z.array(z.string()).readonly().nullable().default(null),
  /** Web origins, as the user wrote them, with `*.` for every host below. */
  origins: z.array(z.string()).readonly().nullable().default(null),
  /** ISO 3166-1 alpha-2. */
  countries: z
    .object({ mode: z.enum(['Allow', 'Block']), codes: z.array(z.string()).readonly() })
    .nullable()
    .default(null),
  /** Nobody without a certificate that is registered for this app. Left out: false. */
  clientCertificatesRequired: z.boolean().exactOptional(),
});

export const appEntryBody = z.object({
  appId: z.string(),
  namespace: z.string(),
  name: z.string(),
  enabled: z.boolean(),
  /** Every key that verifies, oldest first. Several may share their public part and differ in the secret: then each of them verifies. */
  keys: z.array(appKey),
  authentication: z.object({ bearer: z.boolean(), keyAndSecret: z.boolean(), signature: z.boolean() }),
  // Defaults are what an operator of an earlier version meant by saying nothing.
  access: access.prefault({}),
  limits: z.object({
    connections: z.int().nullable(),
    eventBytes: z.int(),
    clientEventsPerSecond: z.int(),
    /** Distinct users of one presence channel. */
    presenceMembers: z.int().default(100),
    /** null: the installation's default. */
    rate: rate.nullable().default(null),
  }),
  channels: z.object({
    clientEvents: z.boolean(),
    encrypted: z.boolean().default(true),
    subscriptionCounts: z.boolean().default(false),
    watchlists: z.boolean().default(false),
    cacheSeconds: z.int().default(1_800),
  }),
  /** Absent: nothing is looked for. */
  secretScanning: entryScanRules.exactOptional(),
  webhooks: z.array(webhookEndpoint).default([]),
});
export type AppEntryBody = z.infer<typeof appEntryBody>;

export const tokenEntryBody = z.object({
  /** The public part of the token, for logs. */
  id: z.string(),
  appId: z.string(),
  namespace: z.string(),
  name: z.string(),
  environment: z.enum(['Live', 'Test']),
  /** Epoch milliseconds; the relay refuses from then on by its own clock, but for the grace. null: no end. */
  expiresAt: z.int().nullable(),
  /** Another token has taken its place: responses say so. Not critical, nor is the grace: a relay that ignores them is stricter. */
  rotated: z.boolean().default(false),
  /** Epoch milliseconds; accepted until then all the same, with responses that say so. null: no grace. */
  graceUntil: z.int().nullable().default(null),
  /** What it may do (crds/scopes.ts); null: everything. */
  scopes: z.array(z.string()).nullable().default(null),
  /** Its own budget; null: it draws on the app's. */
  rate: rate.nullable().default(null),
});
export type TokenEntryBody = z.infer<typeof tokenEntryBody>;

/** A certificate that may connect to the app. Which one stands in the key alone: the SHA-256 of its DER. Revoked is removed. */
export const certificateEntryBody = z.object({
  appId: z.string(),
  /** Of the object that registers it, for logs. */
  namespace: z.string(),
  name: z.string(),
  /** Epoch milliseconds; the relay refuses from then on by its own clock. null: no end. */
  notAfter: z.int().nullable(),
});
export type CertificateEntryBody = z.infer<typeof certificateEntryBody>;

/** The fields that the sealed texts of an app's entry are bound to (crds/sealed.ts). */
export const appKeyField = (id: string): string => `key.${id}`;
export const webhookHeadersField = (name: string): string => `webhook.${name}.headers`;

export const appEntryKey = (appId: string): `app/${string}` => `app/${appId}`;
export const tokenEntryKey = (sha256: string): `token/${string}` => `token/${sha256}`;
/** @param sha256 of the certificate's DER, lower-case hex */
export const certificateEntryKey = (appId: string, sha256: string): `certificate/${string}` =>
  `certificate/${appId}/${sha256}`;

/** One change of the directory. `body: null` removes the entry; a field that is left out means its default. */
export type EntryChange =
  | { readonly key: `app/${string}`; readonly body: z.input<typeof appEntryBody> | null }
  | { readonly key: `token/${string}`; readonly body: z.input<typeof tokenEntryBody> | null }
  | { readonly key: `certificate/${string}`; readonly body: z.input<typeof certificateEntryBody> | null };
