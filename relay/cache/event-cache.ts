import type { Counted } from '../occupancy/occupancy.ts';

/**
 * The last event of cache channels, over all replicas.
 *
 * An adapter MUST
 * - answer `last` with what the latest `keep` that any replica finished before it stored, until its time is over;
 * - let exactly one caller of `firstMiss` have true for each time that a channel has nothing, whoever asks: webhooks tell of it once;
 * - keep apps apart;
 * - keep at most `most` channels' events of an app: beyond, those go first whose time ends first.
 *
 * An adapter MUST NOT block or reject because the store is away: `reached` says so, and `firstMiss` is false then.
 */
export interface EventCache {
  /**
   * @param tail `eventTail` of protocol/server-message.ts. @param ttlMs how long it stays, in milliseconds.
   * @param most channels of the app that may have one: {@link mostCached}.
   */
  keep(appId: string, channel: string, tail: Buffer, ttlMs: number, most: number): Promise<void>;
  last(appId: string, channel: string): Promise<Counted<CachedEvent | undefined>>;
  firstMiss(appId: string, channel: string): Promise<boolean>;
}

/** `expiresInMs`: what is left of its time. */
export type CachedEvent = { readonly tail: Buffer; readonly expiresInMs: number };

/** A miss is told again when the channel still has nothing after this long, in milliseconds. */
export const MISS_MEMORY_MS = 60_000;

/** One tenant's cached events shall not fill the store that all share: about 64 MiB, in events as large as the app allows. */
const MOST_BYTES = 64 * 1024 * 1024;

/** How many cache channels of an app keep an event. @param eventBytes the app's limit for one event's data. */
export function mostCached(eventBytes: number): number {
  return Math.max(64, Math.min(50_000, Math.floor(MOST_BYTES / eventBytes)));
}
