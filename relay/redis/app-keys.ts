/**
 * Redis names of one app's bus and counts. Everything of an app carries one hash tag, so that in a Redis Cluster it lives in one slot:
 * a multi-channel trigger is one message and a count is one script. Apps spread over the shards; one app does not.
 * An app id of an imported app may hold anything; the encoding keeps braces out of the tag.
 */
const tag = (appId: string): string => `{rly:app:${encodeURIComponent(appId)}}`;

export const appSlotKey = (appId: string): string => tag(appId);
export const busChannel = (appId: string, channel: string): string => `${tag(appId)}:bus:${channel}`;
export const occupancyReplicasKey = (appId: string): string => `${tag(appId)}:replicas`;
export const occupancyKeyPrefix = (appId: string): string => `${tag(appId)}:occupancy:`;
