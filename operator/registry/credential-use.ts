/** What the relays told of a credential: when it was last let in, how often, and by whom. Sampled: times lag by a report interval. */
export type CredentialUse = {
  /** Epoch ms. */
  readonly lastUsedAt: number;
  /** Requests and connects that were admitted with it, as far as they were reported. */
  readonly requests: number;
  /** The SDK that used it last, such as `pusher-http-node 5.3.4`; null: it did not say. Never an address. */
  readonly client: string | null;
};
