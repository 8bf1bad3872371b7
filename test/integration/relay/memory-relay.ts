import { pino } from 'pino';
import { Registry } from 'prom-client';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import { MemoryEventCache } from '#relay/cache/memory.ts';
import { MemoryStores } from '#relay/occupancy/memory-store.ts';
import { createRelay, type Relay, type RelaySettings } from '#relay/relay.ts';
import { HandBuiltDirectory } from './hand-built-directory.ts';

/** What the replicas of a test share. */
export class MemoryWorld {
  readonly wire = new MemoryWire();
  readonly counts = new MemoryStores({ wire: this.wire, now: () => performance.now(), webhooks: () => undefined });
  readonly cache = new MemoryEventCache(() => performance.now());
  readonly directory = new HandBuiltDirectory();
  #replicas = 0;

  async relay(settings: Partial<RelaySettings> = {}): Promise<Relay> {
    this.#replicas += 1;
    const origin = `relay-${this.#replicas}`;
    return createRelay(
      {
        directory: this.directory,
        bus: (listener) => new MemoryBus(this.wire, origin, listener),
        occupancyStore: this.counts.store(origin),
        cache: this.cache,
        metricsRegistry: new Registry(),
        log: pino({ level: 'silent' }),
      },
      {
        host: '127.0.0.1',
        port: 0,
        metricsPort: 0,
        drainSeconds: 0.2,
        maxUnsentBytes: 1_048_576,
        maxSubscriptions: 1_000,
        ...settings,
      },
    );
  }
}
