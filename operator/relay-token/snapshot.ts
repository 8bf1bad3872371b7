import type { RelayToken } from '#crds/relay-token.ts';
import type { Enforced } from '../directory/enforcement.ts';
import type { AppReference } from '../reconcile/app-reference.ts';
import type { SecretState } from '../reconcile/secret-state.ts';
import type { CredentialUse } from '../registry/credential-use.ts';
import type { TokenRow } from '../registry/token-registry.ts';
import type { StoredSecret } from '../world/secrets.ts';

/** All that `planToken` decides from, gathered at one moment by `observe.ts`. */
export type TokenSnapshot = {
  /** Epoch ms. */
  readonly now: number;
  readonly object: RelayToken;
  readonly app: AppReference;
  readonly rows: readonly TokenRow[];
  readonly secret: SecretState;
  /** Ours, under another name: where the next token is staged, or a name that is no longer wanted; all of ours while the object is being deleted. */
  readonly strays: readonly StoredSecret[];
  /** Whose the Secret is in whose place the next token would wait; looked for only when one is due. undefined: nobody else's. */
  readonly stagingTaken: string | undefined;
  /** Who uses which token, by the token's id; asked only while one was replaced or is about to go. */
  readonly uses: Readonly<Record<string, CredentialUse>>;
  /** Up to when it is known what was used, epoch ms; null: it is not. */
  readonly usesKnownUntil: number | null;
  /** Mail addresses: `spec.rotation.notify` of its app. */
  readonly notify: readonly string[];
  /** Keys of the occasions that are due by the clock and were announced before (notifications/occasion.ts). */
  readonly announced: readonly string[];
  /** What RELAY_URL says. */
  readonly relayUrl: string;
  /** Of the newest revision among the rows; absent without rows. */
  readonly enforced: Enforced | undefined;
};
