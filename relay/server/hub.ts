import type { Bus } from '../bus/bus.ts';
import type { Directory } from '../directory/directory.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { Occupancy } from '../occupancy/occupancy.ts';
import type { FanOut, PublishedEvent } from './fan-out.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import type { RelaySocket } from './socket.ts';
import type { SocketRegistry } from './socket-registry.ts';

export type HubParts = {
  readonly registry: SocketRegistry<RelaySocket>;
  readonly outbox: Outbox;
  readonly fanOut: FanOut;
  readonly bus: Bus;
  readonly occupancy: Occupancy;
  readonly directory: Directory;
  readonly metrics: RelayMetrics;
  readonly now: Monotonic;
};

/** What a socket may do to the rest of the relay: be found, join channels, publish. Keeps registry, bus and counts in step. */
export class Hub {
  readonly outbox: Outbox;
  readonly directory: Directory;
  readonly metrics: RelayMetrics;
  readonly now: Monotonic;
  readonly #parts: HubParts;

  constructor(parts: HubParts) {
    this.#parts = parts;
    this.outbox = parts.outbox;
    this.directory = parts.directory;
    this.metrics = parts.metrics;
    this.now = parts.now;
  }

  add(socket: RelaySocket): void {
    this.#parts.registry.add(socket);
    this.#parts.occupancy.changed(socket.appId, undefined);
  }

  release(socket: RelaySocket): void {
    this.#parts.registry.remove(socket);
    this.#parts.occupancy.changed(socket.appId, undefined);
  }

  /** Resolves when events of other replicas arrive here, or at once when the bus is away. */
  async join(socket: RelaySocket, channel: string): Promise<void> {
    const outcome = await this.#parts.bus.subscribe(socket.appId, channel);
    if (outcome === 'degraded') this.metrics.degraded.inc({ part: 'bus' });
  }

  attach(socket: RelaySocket, channel: string): void {
    this.#parts.registry.join(socket, channel);
    this.#parts.occupancy.changed(socket.appId, channel);
  }

  leave(socket: RelaySocket, channel: string): void {
    this.#parts.registry.leave(socket, channel);
    this.#parts.bus.unsubscribe(socket.appId, channel);
    this.#parts.occupancy.changed(socket.appId, channel);
  }

  publish(appId: string, event: PublishedEvent): void {
    void this.#parts.fanOut.publish(this.#parts.bus, appId, event);
  }

  refused(code: RefusalCode): void {
    countRefusal(this.metrics, 'live', code);
  }
}
