import type { RelayTokenStatus } from '#crds/relay-token.ts';
import type { Announcement, Announcements } from '../notifications/announcement.ts';
import type { Plan } from '../reconcile/plan.ts';
import type { MintToken, PromoteToken, TokenEnd, TokenPolicy } from '../registry/token-registry.ts';
import type { OldInUse } from '../rotation/old-credential.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';

/** The token that no Secret holds any more, whether one ever did, and until when it works on for whoever has it (epoch ms). */
export type LostToken = { readonly sha256: string; readonly handedOut: boolean; readonly until: number | null };

/** One effect. `apply.ts` carries it out, and then everything is observed and planned again. */
export type TokenStep =
  | { readonly do: 'AddFinalizer' }
  /**
   * Mints, and writes the plain token into its Secret (`over`: the one without a token that is there): the two cannot be apart, because
   * nobody else ever knows the token.
   */
  | {
      readonly do: 'MintToken';
      readonly mint: MintToken;
      readonly lost: LostToken | null;
      readonly over?: StoredSecret;
    }
  /** Mints the next token as Pending, and puts the plain token into a Secret of its own, where nobody reads it yet. */
  | { readonly do: 'StageToken'; readonly mint: MintToken }
  /** A Pending token whose value is in no Secret: nobody will ever know it. */
  | { readonly do: 'DropStaged'; readonly sha256: string }
  /** The staged value takes the place of the old one, but only of the one that was seen. */
  | { readonly do: 'HandOut'; readonly over: StoredSecret; readonly secret: DesiredSecret }
  | { readonly do: 'PromoteToken'; readonly promote: PromoteToken }
  | ({
      readonly do: 'SetEnd';
      readonly sha256: string;
      readonly final: boolean;
      readonly announce?: Announcements;
    } & TokenEnd)
  | { readonly do: 'ExpireTokens'; readonly hashes: readonly string[]; readonly announce: Announcements }
  /** What comes by the clock alone. */
  | { readonly do: 'Announce'; readonly announcement: Announcement }
  | { readonly do: 'RecordRequest'; readonly sha256: string; readonly value: string }
  | { readonly do: 'SetPolicy'; readonly hashes: readonly string[]; readonly policy: TokenPolicy }
  | {
      readonly do: 'RevokeTokens';
      readonly hashes: readonly string[];
      readonly reason: string;
      readonly announce: Announcements;
    }
  /** Where there was none. */
  | { readonly do: 'ApplySecret'; readonly secret: DesiredSecret }
  /** Makes it again what it shall be, but only the one that was seen. */
  | { readonly do: 'ReplaceSecret'; readonly seen: StoredSecret; readonly secret: DesiredSecret }
  | { readonly do: 'DeleteSecret'; readonly secret: StoredSecret }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Event'; readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

export type TokenPlan = Plan<TokenStep, RelayTokenStatus> & {
  /** The replaced tokens that are used beyond their overlap; absent: none. */
  readonly oldInUse?: readonly OldInUse[];
};
