/**
 * Redis names of the apps' buses and counts. Everything of an app carries one hash tag, so that in a Redis Cluster it lives in one slot:
 * a multi-channel trigger is one message and a count is one script. Apps spread over the shards; one app does not.
 */
export type AppKeys = {
  /** A key that is never written: it names the app's slot to EVAL. */
  slot(appId: string): string;
  /** Shard channel of the bus. */
  bus(appId: string, channel: string): string;
  /** Sorted set: replicas that hold sockets of the app. */
  replicas(appId: string): string;
  /** Before a replica's name: hash of its counts. */
  occupancyPrefix(appId: string): string;
  /** The last event of a cache channel. */
  cached(appId: string, channel: string): string;
  /** Set while it is known that a cache channel has no event. */
  missed(appId: string, channel: string): string;
};

/** @param prefix REDIS_PREFIX: keeps installations that share a Redis apart. */
export function appKeys(prefix = ''): AppKeys {
  // The id of an imported app may hold anything; the encoding keeps braces out of the tag.
  const tag = (appId: string): string => `${prefix}{rly:app:${encodeURIComponent(appId)}}`;
  return {
    slot: tag,
    bus: (appId, channel) => `${tag(appId)}:bus:${channel}`,
    replicas: (appId) => `${tag(appId)}:replicas`,
    occupancyPrefix: (appId) => `${tag(appId)}:occupancy:`,
    cached: (appId, channel) => `${tag(appId)}:cached:${channel}`,
    missed: (appId, channel) => `${tag(appId)}:missed:${channel}`,
  };
}
