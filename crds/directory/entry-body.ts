import { z } from 'zod';

/**
 * What the operator publishes about one app and one token, and the relay enforces. Version 1 of both: a relay that does not know a
 * version or a name in `crit` keeps the older entry and says so (directory.md, rule 8), so adding an enforced field means naming it there.
 */
export const ENTRY_VERSION = 1;

export const appEntryBody = z.object({
  appId: z.string(),
  namespace: z.string(),
  name: z.string(),
  enabled: z.boolean(),
  /** Every key that verifies, oldest first. `secret` is sealed for owner `[appId]`, field `key.{id}`, with DIRECTORY_KEYS (crds/sealed.ts). */
  keys: z.array(z.object({ id: z.string(), key: z.string(), secret: z.string() })),
  authentication: z.object({ bearer: z.boolean(), keyAndSecret: z.boolean(), signature: z.boolean() }),
  limits: z.object({ connections: z.int().nullable(), eventBytes: z.int(), clientEventsPerSecond: z.int() }),
  channels: z.object({ clientEvents: z.boolean() }),
});
export type AppEntryBody = z.infer<typeof appEntryBody>;

export const tokenEntryBody = z.object({
  /** The public part of the token, for logs. */
  id: z.string(),
  appId: z.string(),
  namespace: z.string(),
  name: z.string(),
  environment: z.enum(['Live', 'Test']),
  /** Epoch milliseconds; the relay refuses from then on by its own clock. null: no end. */
  expiresAt: z.int().nullable(),
});
export type TokenEntryBody = z.infer<typeof tokenEntryBody>;

export const appEntryKey = (appId: string): `app/${string}` => `app/${appId}`;
export const tokenEntryKey = (sha256: string): `token/${string}` => `token/${sha256}`;

/** One change of the directory. `body: null` removes the entry. */
export type EntryChange =
  | { readonly key: `app/${string}`; readonly body: AppEntryBody | null }
  | { readonly key: `token/${string}`; readonly body: TokenEntryBody | null };
