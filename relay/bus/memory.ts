import { decodeEnvelope, encodeEnvelope } from './envelope.ts';
import type { Bus, BusListener, BusMessage, Reach } from './bus.ts';

/** What joins several in-memory buses: the wire, as Redis is to the other adapter. Can be cut, for tests. */
export class MemoryWire {
  readonly #buses = new Set<MemoryBus>();
  #cut = false;

  attach(bus: MemoryBus): void {
    this.#buses.add(bus);
  }
  detach(bus: MemoryBus): void {
    this.#buses.delete(bus);
  }
  cut(): void {
    this.#cut = true;
  }
  mend(): void {
    this.#cut = false;
  }
  isCut(): boolean {
    return this.#cut;
  }
  reachesOthers(bus: MemoryBus): boolean {
    return this.#buses.size > (this.#buses.has(bus) ? 1 : 0);
  }
  /** Puts bytes on the wire as anybody might who reaches it. */
  carry(appId: string, channel: string, bytes: Buffer): void {
    for (const bus of this.#buses) bus.receive(appId, channel, bytes);
  }
}

/** The bus of one process: standalone mode and unit tests. Same envelopes, same counting, no linger (an unsubscribe costs nothing). */
export class MemoryBus implements Bus {
  readonly #wire: MemoryWire;
  readonly #origin: string;
  readonly #listener: BusListener;
  readonly #interest = new Map<string, number>();

  constructor(wire: MemoryWire, origin: string, listener: BusListener) {
    this.#wire = wire;
    this.#origin = origin;
    this.#listener = listener;
    wire.attach(this);
  }

  publish(appId: string, channels: readonly string[], message: BusMessage): Promise<Reach> {
    if (this.#wire.isCut()) return Promise.resolve('local');
    if (!this.#wire.reachesOthers(this)) return Promise.resolve('everywhere');
    const bytes = encodeEnvelope(this.#origin, message);
    for (const channel of channels) this.#wire.carry(appId, channel, bytes);
    return Promise.resolve('everywhere');
  }

  subscribe(appId: string, channel: string): Promise<'subscribed' | 'degraded'> {
    const key = interestKey(appId, channel);
    this.#interest.set(key, (this.#interest.get(key) ?? 0) + 1);
    return Promise.resolve(this.#wire.isCut() ? 'degraded' : 'subscribed');
  }

  unsubscribe(appId: string, channel: string): void {
    const key = interestKey(appId, channel);
    const count = (this.#interest.get(key) ?? 0) - 1;
    if (count > 0) this.#interest.set(key, count);
    else this.#interest.delete(key);
  }

  receive(appId: string, channel: string, bytes: Buffer): void {
    if (!this.#interest.has(interestKey(appId, channel))) return;
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined || envelope.origin === this.#origin) return;
    this.#listener(appId, channel, envelope);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#wire.detach(this);
    return Promise.resolve();
  }
}

/** A line feed is in no app id and in no channel name. */
const interestKey = (appId: string, channel: string): string => `${appId}\n${channel}`;
