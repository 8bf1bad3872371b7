import { CacheReplay } from '../protocol/cache-replay.ts';

/**
 * Subscriptions to cache channels that are in the making: their events go through a {@link CacheReplay} until what the cache held and
 * what the bus brings are in order. Empty nearly always, and then it costs the fan-out nothing.
 */
export class Holds<S extends { readonly appId: string }> {
  readonly #channels = new Map<string, Map<S, CacheReplay>>();

  begin(subscriber: S, channel: string): CacheReplay {
    const key = keyOf(subscriber.appId, channel);
    const holds = this.#channels.get(key) ?? new Map<S, CacheReplay>();
    this.#channels.set(key, holds);
    const replay = new CacheReplay();
    holds.set(subscriber, replay);
    return replay;
  }

  /** The subscriptions of a channel that are held; undefined: none. */
  of(appId: string, channel: string): ReadonlyMap<S, CacheReplay> | undefined {
    return this.#channels.size === 0 ? undefined : this.#channels.get(keyOf(appId, channel));
  }

  end(subscriber: S, channel: string): void {
    const key = keyOf(subscriber.appId, channel);
    const holds = this.#channels.get(key);
    if (holds?.delete(subscriber) === true && holds.size === 0) this.#channels.delete(key);
  }
}

/** A line feed is in no app id. */
const keyOf = (appId: string, channel: string): string => `${appId}\n${channel}`;
