/**
 * Redis names of the apps' buses and counts. Everything of an app carries one hash tag, so that in a Redis Cluster it lives in one slot:
 * a multi-channel trigger is one message and a count is one script. Apps spread over the shards; one app does not.
 */
export type AppKeys = {
  /** Begins every key of the app; never written itself: it names the app's slot to scripts. */
  slot(appId: string): string;
  /** Shard channel of the bus. */
  bus(appId: string, channel: string): string;
  /** The last event of a cache channel. */
  cached(appId: string, channel: string): string;
  /** Sorted set: cache channels that have an event. */
  cachedChannels(appId: string): string;
  /** Set while it is known that a cache channel has no event. */
  missed(appId: string, channel: string): string;

  /** Of all apps, sorted set: replicas and when they gave their last sign of life, in ms of Redis' clock. */
  readonly beats: string;
  /** Set: apps that the replica has, or had, numbers of. */
  appsOf(replica: string): string;
  /** Set while somebody takes back what a dead replica left. */
  burial(replica: string): string;
};

/** @param prefix REDIS_PREFIX: keeps installations that share a Redis apart. */
export function appKeys(prefix = ''): AppKeys {
  // The id of an imported app may hold anything; the encoding keeps braces out of the tag.
  const tag = (appId: string): string => `${prefix}{rly:app:${encodeURIComponent(appId)}}`;
  const relays = `${prefix}{rly:relays}`;
  return {
    slot: tag,
    bus: (appId, channel) => `${tag(appId)}:bus:${channel}`,
    cached: (appId, channel) => `${tag(appId)}:cached:${channel}`,
    cachedChannels: (appId) => `${tag(appId)}:cached-channels`,
    missed: (appId, channel) => `${tag(appId)}:missed:${channel}`,
    beats: `${relays}:beats`,
    appsOf: (replica) => `${relays}:apps:${replica}`,
    burial: (replica) => `${relays}:burial:${replica}`,
  };
}
