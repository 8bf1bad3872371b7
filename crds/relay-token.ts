import { z } from 'zod';
import { conditions, objectName, type Resource } from './resource.ts';
import { GRANTS } from './scopes.ts';
import { credentialStatuses, handledRequests, rotationStatus } from './credential-status.ts';
import { rateOf, rateSpec, type Rate } from './rate.ts';
import { tokenRotation, tokenRotationTimes, type TokenRotation } from './token-rotation.ts';
import type { TransitionRule } from './transition-rule.ts';

const NO_SCOPES = 'name at least one scope, or leave scopes out: then the token may do everything';

/** What a user declares; defaults are in code (`defaultedToken`). */
export const relayTokenSpec = z.strictObject({
  appRef: z
    .strictObject({ name: objectName.describe('A RelayApp of this namespace.') })
    .describe('Immutable. The app that the token belongs to.'),
  environment: z.enum(['Live', 'Test']).optional().describe('Immutable. Live (default): rly_live_…; Test: rly_test_….'),
  scopes: z
    .array(z.enum(GRANTS))
    .max(GRANTS.length)
    .refine((scopes) => scopes.length > 0, NO_SCOPES)
    .refine((scopes) => new Set(scopes).size === scopes.length, 'must not name a scope twice')
    .meta({
      'x-kubernetes-list-type': 'set',
      'x-kubernetes-validations': [{ rule: 'size(self) > 0', message: NO_SCOPES }],
    })
    .optional()
    .describe(
      'What the token may do: scopes such as events:publish, or all of a category, such as "channels:*". Absent: everything, and a Warning condition says so.',
    ),
  rotation: tokenRotation
    .optional()
    .describe(
      'When a new token takes the place of the present one, and how that one ends. Default: {}, every 90 days with 7 days of overlap and 24 hours of grace.',
    ),
  expiresAt: z.iso
    .datetime({ offset: true, error: 'must be a time with a zone, such as "2027-01-01T00:00:00Z"' })
    .max(64)
    .optional()
    .describe(
      'A hard end, without grace, as a time with a zone, such as 2027-01-01T00:00:00Z: from then on every token of this object is refused.',
    ),
  limits: z
    .strictObject({
      rate: rateSpec
        .optional()
        .describe(
          "How many requests the token may send, over all replicas; beyond, 429. Default: it draws on the app's budget; a test token has its own.",
        ),
    })
    .optional(),
  secretName: objectName.optional().describe('The Secret that the operator writes. Default {name}-token.'),
  revoked: z
    .boolean()
    .optional()
    .describe('true: no valid token, and the value leaves the Secret. false again: a new token.'),
});

export type RelayTokenSpec = z.infer<typeof relayTokenSpec>;

export const relayTokenTransitions: readonly TransitionRule<RelayTokenSpec>[] = [
  {
    cel: 'self.appRef.name == oldSelf.appRef.name',
    message: 'appRef is immutable: a token belongs to one app for life; apply a second RelayToken for the other app',
    field: 'spec.appRef.name',
    check: (self, oldSelf) => self.appRef.name === oldSelf.appRef.name,
  },
  {
    cel: "(has(self.environment) ? self.environment : 'Live') == (has(oldSelf.environment) ? oldSelf.environment : 'Live')",
    message: 'environment is immutable: apply a second RelayToken for the other environment',
    field: 'spec.environment',
    check: (self, oldSelf) => (self.environment ?? 'Live') === (oldSelf.environment ?? 'Live'),
  },
];

export const relayTokenStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional(),
  appId: z.string().max(64).optional(),
  tokenId: z.string().max(64).optional().describe('The public part of the token; names it in logs.'),
  secretName: z.string().max(253).optional(),
  expiresAt: z.string().meta({ format: 'date-time' }).optional().describe('The hard end, when there is one.'),
  credentials: credentialStatuses.optional(),
  rotation: rotationStatus.optional(),
  handledRequests: handledRequests.optional(),
  revision: z
    .int()
    .min(0)
    .optional()
    .describe('The directory revision at which this token last changed; Enforced speaks of it.'),
  conditions: conditions.optional(),
});

export type RelayTokenStatus = z.infer<typeof relayTokenStatus>;
export type RelayToken = Resource<'RelayToken', RelayTokenSpec, RelayTokenStatus>;

export type DefaultedToken = {
  readonly appName: string;
  readonly environment: 'Live' | 'Test';
  /** Sorted; null: everything. */
  readonly scopes: readonly string[] | null;
  /** null: no budget of its own. */
  readonly rate: Rate | null;
  readonly rotation: TokenRotation;
  readonly expiresAt: string | undefined;
  readonly secretName: string;
  readonly revoked: boolean;
};

export function defaultedToken(name: string, spec: RelayTokenSpec): DefaultedToken {
  return {
    appName: spec.appRef.name,
    environment: spec.environment ?? 'Live',
    // A set: another order is no change.
    scopes: spec.scopes?.toSorted() ?? null,
    rate: rateOf(spec.limits?.rate),
    rotation: tokenRotationTimes(spec.rotation),
    expiresAt: spec.expiresAt,
    secretName: spec.secretName ?? `${name}-token`,
    revoked: spec.revoked ?? false,
  };
}
