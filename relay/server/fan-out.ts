import type { Bus, EventMessage, Reach } from '../bus/bus.ts';
import { eventHead, eventTail } from '../protocol/server-message.ts';
import { textFrame } from '../protocol/text-frame.ts';
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

/**
 * Brings an event to everybody who subscribes to its channels: to the sockets of this replica at once and by itself, to the other
 * replicas over the bus. Framed once per channel and replica, whatever the number of sockets.
 */
export class FanOut {
  readonly #registry: SocketRegistry<Subscriber>;
  readonly #outbox: Outbox;
  readonly #metrics: RelayMetrics;

  constructor(registry: SocketRegistry<Subscriber>, outbox: Outbox, metrics: RelayMetrics) {
    this.#registry = registry;
    this.#outbox = outbox;
    this.#metrics = metrics;
  }

  /** Local subscribers have the event when this returns, Redis or not; the promise says whether the other replicas were reached. */
  async publish(bus: Bus, appId: string, event: PublishedEvent): Promise<Reach> {
    const message: EventMessage = {
      kind: 'event',
      exceptSocketId: event.exceptSocketId,
      tail: Buffer.from(eventTail(event.name, event.data)),
    };
    for (const channel of event.channels) this.deliver(appId, channel, message);
    const reach = await bus.publish(appId, event.channels, message);
    this.#metrics.published.inc({ reach });
    return reach;
  }

  /** To the sockets of this replica. */
  deliver(appId: string, channel: string, message: EventMessage): void {
    const subscribers = this.#registry.ofChannel(appId, channel);
    if (subscribers === undefined) return;
    const frame = textFrame(eventHead(channel), message.tail);
    for (const subscriber of subscribers) {
      if (subscriber.id !== message.exceptSocketId) this.#outbox.push(subscriber, frame);
    }
    this.#metrics.delivered.inc(subscribers.size);
  }
}
