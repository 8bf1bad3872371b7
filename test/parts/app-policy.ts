import { defaultedAccess } from '#crds/access.ts';
import type { AppPolicy } from '#operator/registry/app-registry.ts';

/** What a RelayApp without a spec is registered with, and what relays are told of it. */
export const DEFAULT_POLICY = {
  enabled: true,
  authentication: { bearer: true, keyAndSecret: true, signature: true },
  access: defaultedAccess(undefined),
  limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10, presenceMembers: 100, rate: null },
  channels: { clientEvents: true, encrypted: true, subscriptionCounts: false, watchlists: false, cacheSeconds: 1_800 },
  webhooks: [],
} satisfies AppPolicy;
