/** What the relays told of a credential: when it was last let in, how often, and by whom. Sampled: times lag by a report interval. */
export type CredentialUse = {
  /** Epoch ms. */
  readonly lastUsedAt: number;
  /** Requests and connects that were admitted with it, as far as they were reported. */
  readonly requests: number;
  /** The SDK that used it last, such as `pusher-http-node 5.3.4`; null: it did not say. Never an address. */
  readonly client: string | null;
};

/** Where reconcilers learn who still uses what. Asked only while a credential retires. */
export interface CredentialUses {
  /** Of one app's credentials, by their ids: an app key's, the public part of a token, the fingerprint of a client certificate. */
  of(appId: string): Promise<ReadonlyMap<string, CredentialUse>>;
  /** Epoch ms up to when every relay has told what was used; null: not known. */
  knownUntil(): number | null;
}
