import type { Bus, EventMessage, Reach } from '../bus/bus.ts';
import { mostCached, type EventCache } from '../cache/event-cache.ts';
import type { Directory } from '../directory/directory.ts';
import { isCacheChannel } from '../protocol/channel-name.ts';
import { eventHead, eventTail } from '../protocol/server-message.ts';
import { textFrame } from '../protocol/text-frame.ts';
import type { Tallies } from '../usage/usage.ts';
import type { Holds } from './holds.ts';
import type { RelayMetrics } from './metrics.ts';
import type { Consumer, Outbox } from './outbox.ts';
import type { SocketRegistry } from './socket-registry.ts';

export type Subscriber = Consumer & { readonly appId: string; readonly id: string };

export type PublishedEvent = {
  readonly name: string;
  /** The text that receivers get as `data`. */
  readonly data: string;
  readonly channels: readonly string[];
  readonly exceptSocketId: string | undefined;
};

/** Of a client, to one channel. Never kept by cache channels. */
export type ClientEvent = {
  readonly name: string;
  readonly data: string;
  readonly channel: string;
  readonly socketId: string;
  /** Who the sender is on the presence channel. */
  readonly userId: string | undefined;
};

export type FanOutParts = {
  readonly registry: SocketRegistry<Subscriber>;
  readonly holds: Holds<Subscriber>;
  readonly outbox: Outbox;
  readonly cache: EventCache;
  readonly directory: Pick<Directory, 'appById'>;
  readonly usage: Tallies;
  readonly metrics: RelayMetrics;
};

/**
 * Brings an event to everybody who subscribes to its channels: to the sockets of this replica at once and by itself, to the other
 * replicas over the bus. Framed once per channel and replica, whatever the number of sockets.
 */
export class FanOut {
  readonly #parts: FanOutParts;

  constructor(parts: FanOutParts) {
    this.#parts = parts;
  }

  /** Local subscribers have the event when this returns, Redis or not; the promise says whether the other replicas were reached. */
  publish(bus: Bus, appId: string, event: PublishedEvent): Promise<Reach> {
    const tail = Buffer.from(eventTail(event.name, event.data));
    for (const channel of event.channels) if (isCacheChannel(channel)) this.#keep(appId, channel, tail);
    return this.#send(bus, appId, event.channels, { kind: 'event', exceptSocketId: event.exceptSocketId, tail });
  }

  publishClientEvent(bus: Bus, appId: string, event: ClientEvent): Promise<Reach> {
    const tail = Buffer.from(eventTail(event.name, event.data, event.userId));
    return this.#send(bus, appId, [event.channel], { kind: 'event', exceptSocketId: event.socketId, tail });
  }

  /** To the sockets of this replica. */
  deliver(appId: string, channel: string, message: EventMessage): void {
    const { registry, holds, outbox, usage, metrics } = this.#parts;
    const subscribers = registry.ofChannel(appId, channel);
    if (subscribers === undefined) return;
    const held = holds.of(appId, channel);
    const frame = textFrame(eventHead(channel), message.tail);
    let delivered = subscribers.size;
    for (const subscriber of subscribers) {
      if (subscriber.id === message.exceptSocketId) delivered -= 1;
      else if (held?.has(subscriber) === true) this.#deliverHeld(subscriber, channel, message.tail);
      else outbox.push(subscriber, frame);
    }
    metrics.delivered.inc(delivered);
    usage.of(appId).messagesOut += delivered;
  }

  /** A change of a presence channel's members, to the sockets of this replica. Who is still to be told the members is left out. */
  tellMembers(appId: string, channel: string, tail: string): void {
    const { registry, holds, outbox } = this.#parts;
    const subscribers = registry.ofChannel(appId, channel);
    if (subscribers === undefined) return;
    const held = holds.of(appId, channel);
    const frame = textFrame(eventHead(channel), tail);
    for (const subscriber of subscribers) {
      if (held?.get(subscriber)?.answered !== false) outbox.push(subscriber, frame);
    }
  }

  /** Tails to one socket, as events of the channel. */
  replay(subscriber: Subscriber, channel: string, tails: readonly Buffer[]): void {
    for (const tail of tails) this.#parts.outbox.push(subscriber, textFrame(eventHead(channel), tail));
  }

  #deliverHeld(subscriber: Subscriber, channel: string, tail: Buffer): void {
    const { holds } = this.#parts;
    const replay = holds.of(subscriber.appId, channel)?.get(subscriber);
    if (replay === undefined) return;
    this.replay(subscriber, channel, replay.arrived(tail));
    if (replay.settled) holds.end(subscriber, channel);
  }

  async #send(bus: Bus, appId: string, channels: readonly string[], message: EventMessage): Promise<Reach> {
    for (const channel of channels) this.deliver(appId, channel, message);
    const reach = await bus.publish(appId, channels, message);
    this.#parts.metrics.published[reach] += 1;
    return reach;
  }

  /** Not awaited: cache and bus share a connection, so it is kept before the bus has it, and nobody waits twice. */
  #keep(appId: string, channel: string, tail: Buffer): void {
    const app = this.#parts.directory.appById(appId);
    if (app === undefined) return;
    const { limits, channels } = app;
    void this.#parts.cache.keep(appId, channel, tail, channels.cacheSeconds * 1000, mostCached(limits.eventBytes));
  }
}
