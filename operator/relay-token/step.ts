import type { RelayTokenStatus } from '#crds/relay-token.ts';
import type { MintToken, TokenPolicy } from '../registry/token-registry.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

/** The token that no Secret holds any more, and whether one ever did. */
export type LostToken = { readonly sha256: string; readonly handedOut: boolean };

/** One effect. `apply.ts` carries it out, and then everything is observed and planned again. */
export type TokenStep =
  | { readonly do: 'AddFinalizer' }
  /** Mints, and writes the plain token into its Secret: the two cannot be apart, because nobody else ever knows the token. */
  | { readonly do: 'MintToken'; readonly mint: MintToken; readonly lost: LostToken | null }
  | { readonly do: 'SetExpiry'; readonly sha256: string; readonly expiresAt: number | null }
  | { readonly do: 'SetPolicy'; readonly hashes: readonly string[]; readonly policy: TokenPolicy }
  | { readonly do: 'RevokeTokens'; readonly hashes: readonly string[]; readonly reason: string }
  | { readonly do: 'ApplySecret'; readonly secret: DesiredSecret }
  | { readonly do: 'DeleteSecret'; readonly secret: StoredSecret }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

export type TokenPlan = {
  readonly steps: readonly TokenStep[];
  readonly status?: RelayTokenStatus;
  readonly await?: number;
  /** The relays have not all agreed yet. */
  readonly pending?: boolean;
  readonly outcome: { readonly kind: 'done' } | { readonly kind: 'requeueAfter'; readonly ms: number };
};
