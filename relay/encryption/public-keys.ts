/** Most public keys that one app may have registered. */
export const MAX_PUBLIC_KEYS = 10_000;

/** `publicKey`: base64. `registeredAt`: epoch milliseconds. */
export type RegisteredKey = { readonly participant: string; readonly publicKey: string; readonly registeredAt: number };

/**
 * X25519 public keys by which the participants of an app find each other. Public keys only: nothing here opens a message.
 *
 * An adapter MUST keep apps apart, hold at most {@link MAX_PUBLIC_KEYS} per app (replacing one is always possible), and answer `away`
 * instead of rejecting or waiting when the store is away.
 */
export interface PublicKeys {
  put(appId: string, key: RegisteredKey): Promise<'stored' | 'full' | 'away'>;
  get(appId: string, participant: string): Promise<RegisteredKey | undefined | 'away'>;
  /** By name. */
  list(appId: string): Promise<readonly RegisteredKey[] | 'away'>;
  remove(appId: string, participant: string): Promise<'removed' | 'unknown' | 'away'>;
}
