/**
 * Names in Redis. The braces put all keys into one Redis Cluster slot, so that one script can write log, snapshot and head together.
 * Nothing here expires.
 */
export type DirectoryKeys = {
  /** Hash: a checkpoint and `beat`. */
  readonly head: string;
  /** Hash: entry key → entry text. */
  readonly snapshot: (epoch: number) => string;
  /** Stream, ids `<revision>-0`. */
  readonly log: (epoch: number) => string;
  /** Hash: replica id → report. */
  readonly replicas: string;
  /** Hash: replica id → admission. */
  readonly admit: string;
  /** Channel on which a relay announces a report, so that the operator need not poll. */
  readonly notify: string;
};

/** @param prefix put before every name, for a Redis that serves several installations; by default empty. */
export function directoryKeys(prefix = ''): DirectoryKeys {
  const base = `${prefix}{rly:dir}`;
  return {
    head: `${base}:head`,
    snapshot: (epoch) => `${base}:snap:${epoch}`,
    log: (epoch) => `${base}:log:${epoch}`,
    replicas: `${base}:replicas`,
    admit: `${base}:admit`,
    notify: `${base}:notify`,
  };
}
