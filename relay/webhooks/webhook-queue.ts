import type { WebhookEvent } from './webhook-sink.ts';

/** One event for one webhook. */
export type Delivery = {
  /** Unique in the app and webhook. Increasing in the order in which they are to be told. */
  readonly id: string;
  /** When it happened, epoch milliseconds. */
  readonly timeMs: number;
  readonly event: WebhookEvent;
};

/** What people should know of deliveries that will not happen; ends in the app's activity log. */
export type GivenUp = { readonly webhook: string; readonly reason: string; readonly events: number };

/** Which webhooks of the app want this event, by name. */
export type Route = (event: WebhookEvent) => readonly string[];

/**
 * Events of apps on their way to webhooks, shared by all replicas. An event waits once until it is routed, and then once per webhook that
 * wants it, until the endpoint took it or it is given up. One replica at a time sends for an app: who has its lease.
 *
 * An adapter MUST
 * - lose nothing that it holds when a replica ends at any moment (a store that is lost itself loses what waits);
 * - route each event once, whoever asks and dies meanwhile;
 * - let nobody have an app while another replica's lease of LEASE_MS lasts, counted from its last `claim` or `step` that succeeded;
 * - keep at most LANE_EVENTS events and LANE_BYTES bytes per webhook, dropping the oldest and saying how many.
 *
 * An adapter MUST NOT reject because the store is away: `away`, or false, says so.
 */
export interface WebhookQueue {
  /** Takes events at this time (epoch ms). `dropped`: older ones that had to go; when the store is away these. */
  add(appId: string, events: readonly WebhookEvent[], timeMs: number): Promise<{ readonly dropped: number }>;

  /** Becomes the sender of the app. `empty`: nothing waits for these webhooks. `taken`: another one sends; for `forMs` more if it died. */
  claim(appId: string, webhooks: readonly string[]): Promise<Claim>;
  /** Renews the lease and routes some of what waits for that. `moved` events were routed; `more` may wait. */
  step(appId: string, webhooks: readonly string[], route: Route): Promise<Step>;
  /** What waits for this webhook after this delivery, in order; undefined: from the beginning. */
  read(appId: string, webhook: string, after: string | undefined, count: number): Promise<readonly Delivery[] | 'away'>;
  /** Forgets deliveries. `givenUp`: is told as well. False: the store is away; ask again. */
  remove(appId: string, webhook: string, ids: readonly string[], givenUp?: GivenUp): Promise<boolean>;
  /** Gives the lease back if nothing waits for these webhooks. `more`: something does, the lease stays. */
  release(appId: string, webhooks: readonly string[]): Promise<'released' | 'more' | 'away'>;
  /** Gives the lease back whatever waits, so that another one can go on at once. */
  abandon(appId: string): Promise<void>;

  /** True for one replica per `everyMs`: it looks through all apps for what was left behind. */
  sweepTurn(everyMs: number): Promise<boolean>;
}

export type Claim = { readonly kind: 'held' | 'empty' | 'away' } | { readonly kind: 'taken'; readonly forMs: number };

export type Step =
  | { readonly kind: 'lost' }
  | { readonly kind: 'away' }
  | { readonly kind: 'held'; readonly moved: number; readonly more: boolean; readonly dropped: readonly GivenUp[] };

export const LEASE_MS = 15_000;
export const LANE_EVENTS = 10_000;
export const LANE_BYTES = 4_194_304;
