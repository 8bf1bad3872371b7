import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { LACKS_GEOIP } from '#crds/directory/report.ts';
import { signReport } from '#crds/facts/report.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { MemoryActivityLog } from '#relay/activity/memory.ts';
import { MemoryBus, MemoryWire } from '#relay/bus/memory.ts';
import { MemoryEventCache } from '#relay/cache/memory.ts';
import { monotonicClock } from '#relay/directory/clock.ts';
import type { DirectoryFeed } from '#relay/directory/feed.ts';
import { Follower } from '#relay/directory/follower.ts';
import type { FactSink } from '#relay/facts/fact-sink.ts';
import { MemoryRateStore } from '#relay/limits/memory-rate-store.ts';
import { MemoryStores } from '#relay/occupancy/memory-store.ts';
import { addressPolicy, parseAllowed } from '#relay/webhooks/address-policy.ts';
import { MemoryWebhookQueue, MemoryWebhookStore } from '#relay/webhooks/memory-queue.ts';
import { createHttpPost } from '#relay/webhooks/post.ts';
import { createResolver } from '#relay/webhooks/resolver.ts';
import type { WebhookEvent } from '#relay/webhooks/webhook-sink.ts';
import { createRelay, type Relay } from '#relay/relay.ts';
import { MemoryUsageWorld } from '#relay/usage/memory.ts';
import { MemoryPublicKeys } from '#relay/encryption/memory.ts';
import type { Keys } from './keys.ts';

export type StandaloneRelayParts = {
  readonly keys: Keys;
  readonly feed: DirectoryFeed;
  readonly facts: FactSink;
  readonly host: string;
  readonly port: number;
  readonly routes: (app: FastifyInstance) => void;
  readonly log: Logger;
};

const ID = 'standalone';
/** Ctrl-C shall not take long; clients come back by themselves. */
const DRAIN_SECONDS = 0.5;
const MAX_UNSENT_BYTES = 1_048_576;
const MAX_SUBSCRIPTIONS = 1_000;
/** As RELAY_TEST_RATE has it. */
const TEST_RATE = { requestsPerMinute: 60, burst: 30 };

/** The relay of one process: nothing to share with other replicas, so bus and counts are memory. */
export async function startRelay(
  { keys, feed, facts, host, port, routes, log }: StandaloneRelayParts,
  signal: AbortSignal,
): Promise<{ relay: Relay; follower: Follower; followed: Promise<void> }> {
  const follower = new Follower({
    keyring: keys.directory,
    feed,
    clock: monotonicClock,
    log,
    id: ID,
    podUid: null,
    nextNonce: () => randomUUID(),
    lacks: () => [LACKS_GEOIP],
  });
  const followed = follower.run(signal);
  const wire = new MemoryWire();
  const waiting = new MemoryWebhookStore(() => performance.now());
  const webhooks = (appId: string, event: WebhookEvent): void => void waiting.add(appId, [event], Date.now());
  // A developer's own endpoints are on this machine or near it.
  const policy = addressPolicy(parseAllowed('0.0.0.0/0,::/0'));
  const post = createHttpPost({ policy, resolve: createResolver() });
  const stores = new MemoryStores({ wire, now: () => performance.now(), webhooks });
  const relay = await createRelay(
    {
      directory: follower,
      replica: ID,
      bus: (listener) => new MemoryBus(wire, ID, listener),
      occupancyStore: stores.store(ID),
      activity: new MemoryActivityLog(),
      webhookQueue: new MemoryWebhookQueue(waiting, ID),
      post,
      cache: new MemoryEventCache(() => performance.now()),
      rateStore: new MemoryRateStore(() => performance.now()),
      usageStore: new MemoryUsageWorld(Date.now).store(ID),
      publicKeys: new MemoryPublicKeys(),
      facts: {
        sink: facts,
        replica: ID,
        boot: randomUUID(),
        sign: (report) => signReport(keys.directory, follower.keyId(), report),
      },
      metricsRegistry: new MetricsRegistry(),
      log,
      routes,
    },
    {
      host,
      port,
      metricsPort: undefined,
      drainSeconds: DRAIN_SECONDS,
      maxUnsentBytes: MAX_UNSENT_BYTES,
      maxSubscriptions: MAX_SUBSCRIPTIONS,
      rates: { app: null, testToken: TEST_RATE },
      proxies: { trusted: new IpRanges([]), header: 'x-forwarded-for' },
    },
  );
  return { relay, follower, followed };
}
