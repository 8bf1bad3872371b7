/** The one name in Redis of what relays tell the operator. */
export type FactKeys = {
  /** Stream: reports of all relays, one field `report` each. The operator deletes what it has taken over. */
  readonly reports: string;
};

/** @param prefix REDIS_PREFIX: keeps installations that share a Redis apart. */
export function factKeys(prefix = ''): FactKeys {
  return { reports: `${prefix}{rly:facts}:reports` };
}
