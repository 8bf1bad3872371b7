import { pino } from 'pino';
import { Registry } from 'prom-client';
import { signReport } from '#crds/facts/report.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { MemoryActivityLog } from '#relay/activity/memory.ts';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import { MemoryEventCache } from '#relay/cache/memory.ts';
import { MemoryFacts } from '#relay/facts/memory.ts';
import { MemoryRateStore } from '#relay/limits/memory-rate-store.ts';
import { MemoryStores } from '#relay/occupancy/memory-store.ts';
import { addressPolicy, parseAllowed } from '#relay/webhooks/address-policy.ts';
import { MemoryWebhookQueue, MemoryWebhookStore } from '#relay/webhooks/memory-queue.ts';
import { createHttpPost } from '#relay/webhooks/post.ts';
import { createResolver } from '#relay/webhooks/resolver.ts';
import { MemoryUsageWorld } from '#relay/usage/memory.ts';
import { MemoryPublicKeys } from '#relay/encryption/memory.ts';
import type { RelayParts, RelaySettings } from '#relay/relay-parts.ts';
import { createRelay, type Relay } from '#relay/relay.ts';
import { keyring } from '../directory/installation.ts';
import { HandBuiltDirectory } from './hand-built-directory.ts';

/** What the replicas of a test share. */
export class MemoryWorld {
  readonly wire = new MemoryWire();
  readonly webhooks = new MemoryWebhookStore(() => performance.now());
  readonly counts = new MemoryStores({
    wire: this.wire,
    now: () => performance.now(),
    webhooks: (appId, event) => void this.webhooks.add(appId, [event], Date.now()),
  });
  readonly cache = new MemoryEventCache(() => performance.now());
  readonly usage = new MemoryUsageWorld(Date.now);
  readonly rates = new MemoryRateStore(() => performance.now());
  readonly publicKeys = new MemoryPublicKeys();
  readonly activity = new MemoryActivityLog();
  readonly facts = new MemoryFacts();
  readonly directory = new HandBuiltDirectory();
  readonly post = createHttpPost({ policy: addressPolicy(parseAllowed('127.0.0.1')), resolve: createResolver() });
  #replicas = 0;

  async relay(settings: Partial<RelaySettings> = {}, parts: Partial<RelayParts> = {}): Promise<Relay> {
    this.#replicas += 1;
    const origin = `relay-${this.#replicas}`;
    return createRelay(
      {
        directory: this.directory,
        replica: origin,
        bus: (listener) => new MemoryBus(this.wire, origin, listener),
        occupancyStore: this.counts.store(origin),
        activity: this.activity,
        webhookQueue: new MemoryWebhookQueue(this.webhooks, origin),
        post: this.post,
        cache: this.cache,
        rateStore: this.rates,
        usageStore: this.usage.store(origin),
        publicKeys: this.publicKeys,
        facts: {
          sink: this.facts,
          replica: origin,
          boot: `${origin}-1`,
          sign: (report) => signReport(keyring, 'k1', report),
        },
        metricsRegistry: new Registry(),
        log: pino({ level: 'silent' }),
        ...parts,
      },
      {
        host: '127.0.0.1',
        port: 0,
        metricsPort: 0,
        drainSeconds: 0.2,
        maxUnsentBytes: 1_048_576,
        maxSubscriptions: 1_000,
        rates: { app: null, testToken: null },
        proxies: { trusted: new IpRanges([]), header: 'x-forwarded-for' },
        ...settings,
      },
    );
  }
}
