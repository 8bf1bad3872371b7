/** Where a round stopped: the next one goes on behind. */
export type Cursor = { readonly table: 'app_key' | 'app'; readonly after: readonly string[] };

export type Round = {
  /** How many secrets the first key seals now. */
  readonly sealed: number;
  /** Undefined: everything was looked at. */
  readonly next: Cursor | undefined;
};

/** The secrets at rest: of app keys, and of webhook headers. */
export type SealedSecrets = {
  /**
   * Looks at some that another key of ENCRYPTION_KEYS seals, and seals them with the first. What does not open is left as it is, what somebody
   * else writes meanwhile is theirs, and nothing is written under a term that is not the newest.
   */
  sealAnew(term: number, from: Cursor | undefined): Promise<Round>;
  /** How many there are by the id of the key that seals them, whether ENCRYPTION_KEYS has it or not. */
  count(): Promise<ReadonlyMap<string, number>>;
};
