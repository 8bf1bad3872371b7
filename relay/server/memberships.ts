import type { Bus } from '../bus/bus.ts';
import type { CachedEvent, EventCache } from '../cache/event-cache.ts';
import type { App } from '../directory/directory.ts';
import type { Counted, Occupancy } from '../occupancy/occupancy.ts';
import type { Presence } from '../presence/presence.ts';
import { REPLAY_GRACE_MS, type CacheReplay } from '../protocol/cache-replay.ts';
import { isServerToUser, type Channel } from '../protocol/channel-name.ts';
import { cacheMiss, NO_DATA, presenceData } from '../protocol/server-message.ts';
import type { SubscriptionRefusal } from '../protocol/subscription.ts';
import { textFrame } from '../protocol/text-frame.ts';
import type { PresenceIdentity } from '../protocol/user-data.ts';
import type { WebhookSink } from '../webhooks/webhook-sink.ts';
import type { FanOut, Subscriber } from './fan-out.ts';
import type { Holds } from './holds.ts';
import type { RelayMetrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import type { SocketRegistry } from './socket-registry.ts';

export type MembershipParts = {
  readonly registry: SocketRegistry<Subscriber>;
  readonly holds: Holds<Subscriber>;
  readonly outbox: Outbox;
  readonly fanOut: FanOut;
  readonly bus: Bus;
  readonly occupancy: Occupancy;
  readonly presence: Presence;
  readonly cache: EventCache;
  readonly webhooks: WebhookSink;
  readonly metrics: RelayMetrics;
};

export type Joiner = {
  readonly socket: Subscriber;
  readonly channel: Channel;
  readonly member: PresenceIdentity | undefined;
  readonly app: App;
  /** False once the subscription ended: whoever ends it calls `leave`, and nothing is begun for it after that. */
  readonly isCurrent: () => boolean;
};

/** `data` and `attach` belong to one turn: what `data` says of members is as of then, and `attach` follows `subscription_succeeded`. */
export type Joined = {
  /** Of `subscription_succeeded`. */
  readonly data: () => string;
  /** From now on the socket gets the channel's events; those that a cache channel held for it, at once. */
  readonly attach: () => void;
};

/** Makes a socket a subscriber: keeps bus, members, cache, registry and counts in step, and takes everything back. */
export class Memberships {
  readonly #parts: MembershipParts;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** undefined: the subscription ended meanwhile. Whatever this answers, the socket must `leave` in the end. */
  async join(joiner: Joiner): Promise<Joined | { readonly refusal: SubscriptionRefusal } | undefined> {
    const { socket, channel, member, app, isCurrent } = joiner;
    const { bus, presence, metrics } = this.#parts;
    const outcome = await bus.subscribe(socket.appId, channel.name);
    if (outcome === 'degraded') metrics.degraded.inc({ part: 'bus' });
    if (!isCurrent()) return undefined;
    let data = (): string => NO_DATA;
    if (member !== undefined) {
      const limit = app.limits.presenceMembers;
      const joining = await presence.join(socket.appId, channel.name, socket.id, member, limit);
      if (!isCurrent()) return undefined;
      if (joining.outcome === 'full') return { refusal: channelFull(limit) };
      data = () => presenceData(joining.members);
    }
    if (!channel.cache) return { data, attach: () => this.#register(socket, channel.name) };

    // Registered before the cache is asked: what is published from now on is held, and nothing falls in between.
    const replay = this.#parts.holds.begin(socket, channel.name);
    this.#register(socket, channel.name);
    const answer = await this.#parts.cache.last(socket.appId, channel.name);
    if (!isCurrent()) return undefined;
    return { data, attach: () => this.#replay(joiner, replay, answer) };
  }

  /** @param userId as whom it joined a presence channel. */
  leave(socket: Subscriber, channel: string, userId: string | undefined): void {
    const { registry, holds, bus, presence } = this.#parts;
    holds.end(socket, channel);
    registry.leave(socket, channel);
    if (userId !== undefined) presence.leave(socket.appId, channel, socket.id, userId);
    bus.unsubscribe(socket.appId, channel);
    this.#changed(socket.appId, channel);
  }

  #register(socket: Subscriber, channel: string): void {
    this.#parts.registry.join(socket, channel);
    this.#changed(socket.appId, channel);
  }

  /** Nobody asks how many listen to what the backend says to one user. */
  #changed(appId: string, channel: string): void {
    if (!isServerToUser(channel)) this.#parts.occupancy.changed(appId, channel);
  }

  #replay({ socket, channel, app }: Joiner, replay: CacheReplay, answer: Counted<CachedEvent | undefined>): void {
    const { fanOut, holds } = this.#parts;
    const { value: cached } = answer;
    if (cached === undefined) this.#tellMiss(socket, channel.name, answer.reached);
    const ageMs = cached === undefined ? 0 : app.channels.cacheSeconds * 1000 - cached.expiresInMs;
    fanOut.replay(socket, channel.name, replay.answeredWith(cached?.tail, ageMs));
    if (replay.settled) return holds.end(socket, channel.name);
    setTimeout(() => {
      if (holds.of(socket.appId, channel.name)?.get(socket) !== replay) return;
      holds.end(socket, channel.name);
      fanOut.replay(socket, channel.name, replay.graceOver());
    }, REPLAY_GRACE_MS).unref();
  }

  /** The client can get the state elsewhere, so it is told as well when the cache is away; webhooks are not. */
  #tellMiss(socket: Subscriber, channel: string, reached: boolean): void {
    const { outbox, metrics } = this.#parts;
    outbox.push(socket, textFrame(cacheMiss(channel)));
    if (!reached) return metrics.degraded.inc({ part: 'cache' });
    void this.#tellFirstMiss(socket.appId, channel);
  }

  async #tellFirstMiss(appId: string, channel: string): Promise<void> {
    const first = await this.#parts.cache.firstMiss(appId, channel);
    if (first) this.#parts.webhooks.enqueue(appId, [{ name: 'cache_miss', channel }]);
  }
}

const channelFull = (limit: number): SubscriptionRefusal => ({
  type: 'LimitReached',
  message: `The presence channel has reached its limit of ${limit} members`,
  status: 403,
});
