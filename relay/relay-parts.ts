import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Geography } from './access/countries.ts';
import type { ActivityLog } from './activity/activity.ts';
import type { Bus, BusListener } from './bus/bus.ts';
import type { EventCache } from './cache/event-cache.ts';
import type { Directory } from './directory/directory.ts';
import type { PublicKeys } from './encryption/public-keys.ts';
import type { FactReporterParts } from './facts/fact-reporter.ts';
import type { Monotonic } from './limits/monotonic.ts';
import type { RateStore } from './limits/rate-store.ts';
import type { RateSettings } from './limits/rate-subject.ts';
import type { OccupancyStore } from './occupancy/store.ts';
import type { ProxySettings } from './server/callers.ts';
import type { ExpiryClock } from './server/expiry-watch.ts';
import type { TransportSettings } from './transport/transport.ts';
import type { UsageStore } from './usage/usage-store.ts';
import type { Post } from './webhooks/post.ts';
import type { WebhookQueue } from './webhooks/webhook-queue.ts';

/** What differs between a relay of a cluster and one in a single process: Redis behind these, or memory. */
export type RelayParts = {
  readonly directory: Directory;
  /** This replica among the others, and of this boot: the name that bus, counts and usage know it by. */
  readonly replica: string;
  readonly bus: (listener: BusListener) => Bus;
  /** Counts and presence over all replicas; closed with the relay. */
  readonly occupancyStore: OccupancyStore;
  /** How often a replica shows that it lives, and how long it is believed; what is usual where it is left out. */
  readonly occupancyTimes?: { readonly beatMs: number; readonly leaseMs: number };
  readonly webhookQueue: WebhookQueue;
  readonly activity: ActivityLog;
  /** Where clients are; left out: nobody knows. */
  readonly geography?: Geography;
  /** Sends webhooks. */
  readonly post: Post;
  /** The last event of cache channels. */
  readonly cache: EventCache;
  readonly usageStore: UsageStore;
  /** Budgets of requests and connects over all replicas. */
  readonly rateStore: RateStore;
  /** X25519 public keys of the apps' participants. */
  readonly publicKeys: PublicKeys;
  /** How the operator is told what happened here. */
  readonly facts: Pick<FactReporterParts, 'sink' | 'replica' | 'boot' | 'sign'>;
  /** How often it is told, and how often of a credential in steady use; what is usual where it is left out. */
  readonly factTimes?: { readonly everyMs: number; readonly toldAgainMs: number };
  /** What credentials go by: when one begins and ends, and when it was used. Left out: the time of this machine. */
  readonly clock?: ExpiryClock;
  /** What silence and rates go by. Left out: the time of this machine since it booted. */
  readonly now?: Monotonic;
  readonly metricsRegistry: Registry;
  readonly log: Logger;
  /** Adds routes beside the API; standalone's page. */
  readonly routes?: (app: FastifyInstance) => void;
};

export type RelaySettings = {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** undefined: no management port (standalone). */
  readonly metricsPort: number | undefined;
  readonly drainSeconds: number;
  readonly maxUnsentBytes: number;
  /** Most channels that one socket may be subscribed to. */
  readonly maxSubscriptions: number;
  readonly rates: RateSettings;
  /** Left out: plaintext. */
  readonly transport?: TransportSettings;
  readonly proxies: ProxySettings;
};
