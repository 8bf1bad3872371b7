import type { WebhookEvent } from './webhook-sink.ts';
import {
  LANE_BYTES,
  LANE_EVENTS,
  LEASE_MS,
  type Claim,
  type Delivery,
  type GivenUp,
  type Route,
  type Step,
  type WebhookQueue,
} from './webhook-queue.ts';

type Lease = { readonly replica: string; readonly until: number };
type Waiting = {
  readonly raw: Omit<Delivery, 'id'>[];
  readonly lanes: Map<string, MemoryLane>;
  lease: Lease | undefined;
};

/** What waits for one webhook. */
class MemoryLane {
  readonly #items = new Map<string, { readonly delivery: Delivery; readonly bytes: number }>();
  #bytes = 0;

  get length(): number {
    return this.#items.size;
  }

  /** Answers how many older ones had to go for it. */
  push(delivery: Delivery): number {
    const bytes = Buffer.byteLength(JSON.stringify(delivery.event));
    this.#items.set(delivery.id, { delivery, bytes });
    this.#bytes += bytes;
    let dropped = 0;
    for (const id of this.#items.keys()) {
      const fits = this.length <= LANE_EVENTS && this.#bytes <= LANE_BYTES;
      if (fits || this.length === 1) break;
      this.delete(id);
      dropped += 1;
    }
    return dropped;
  }

  delete(id: string): void {
    this.#bytes -= this.#items.get(id)?.bytes ?? 0;
    this.#items.delete(id);
  }

  after(id: number, count: number): Delivery[] {
    const rest = [...this.#items.values()].map(({ delivery }) => delivery);
    return rest.filter((delivery) => Number(delivery.id) > id).slice(0, count);
  }
}

/** What the replicas of one process share. Lost when it ends. */
export class MemoryWebhookStore {
  readonly now: () => number;
  readonly #apps = new Map<string, Waiting>();
  /** The activity log: what was given up. */
  readonly activity: (GivenUp & { readonly appId: string })[] = [];
  sweptAt = Number.NEGATIVE_INFINITY;
  /** As if it could not be reached. */
  away = false;
  #ids = 0;

  /** @param now milliseconds since some moment, for leases. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** Answers how many had to go. */
  add(appId: string, events: readonly WebhookEvent[], timeMs: number): number {
    if (this.away) return events.length;
    const { raw } = this.of(appId);
    raw.push(...events.map((event) => ({ event, timeMs })));
    return raw.splice(0, Math.max(0, raw.length - RAW_EVENTS)).length;
  }

  of(appId: string): Waiting {
    const held = this.#apps.get(appId) ?? { raw: [], lanes: new Map(), lease: undefined };
    this.#apps.set(appId, held);
    return held;
  }

  forget(appId: string): void {
    this.#apps.delete(appId);
  }

  nextId(): string {
    this.#ids += 1;
    return String(this.#ids);
  }
}

/** Events that wait to be routed. */
const RAW_EVENTS = 10_000;
const ACTIVITY_ENTRIES = 1_000;

export class MemoryWebhookQueue implements WebhookQueue {
  readonly #store: MemoryWebhookStore;
  readonly #replica: string;

  constructor(store: MemoryWebhookStore, replica: string) {
    this.#store = store;
    this.#replica = replica;
  }

  add(appId: string, events: readonly WebhookEvent[], timeMs: number): Promise<{ readonly dropped: number }> {
    return Promise.resolve({ dropped: this.#store.add(appId, events, timeMs) });
  }

  claim(appId: string, webhooks: readonly string[]): Promise<Claim> {
    if (this.#store.away) return Promise.resolve({ kind: 'away' });
    const waiting = this.#store.of(appId);
    const other = this.#other(waiting);
    if (other !== undefined) return Promise.resolve({ kind: 'taken', forMs: other.until - this.#store.now() });
    if (isEmpty(waiting, webhooks)) return Promise.resolve({ kind: 'empty' });
    this.#renew(waiting);
    return Promise.resolve({ kind: 'held' });
  }

  step(appId: string, webhooks: readonly string[], route: Route): Promise<Step> {
    if (this.#store.away) return Promise.resolve({ kind: 'away' });
    const waiting = this.#store.of(appId);
    if (this.#other(waiting) !== undefined) return Promise.resolve({ kind: 'lost' });
    this.#renew(waiting);
    const moved = waiting.raw.splice(0);
    const dropped = new Map<string, number>();
    for (const { event, timeMs } of moved) {
      for (const webhook of route(event)) {
        if (!webhooks.includes(webhook)) continue;
        const lane = waiting.lanes.get(webhook) ?? new MemoryLane();
        waiting.lanes.set(webhook, lane);
        const gone = lane.push({ id: this.#store.nextId(), event, timeMs });
        dropped.set(webhook, (dropped.get(webhook) ?? 0) + gone);
      }
    }
    const overflow = [...dropped].map(([webhook, events]) => ({ webhook, reason: 'overflow', events }));
    return Promise.resolve({
      kind: 'held',
      moved: moved.length,
      more: false,
      dropped: overflow.filter(({ events }) => events > 0),
    });
  }

  read(
    appId: string,
    webhook: string,
    after: string | undefined,
    count: number,
  ): Promise<readonly Delivery[] | 'away'> {
    if (this.#store.away) return Promise.resolve('away');
    const lane = this.#store.of(appId).lanes.get(webhook);
    return Promise.resolve(lane?.after(Number(after ?? 0), count) ?? []);
  }

  remove(appId: string, webhook: string, ids: readonly string[], givenUp?: GivenUp): Promise<boolean> {
    if (this.#store.away) return Promise.resolve(false);
    const { lanes } = this.#store.of(appId);
    const lane = lanes.get(webhook);
    for (const id of ids) lane?.delete(id);
    if (lane?.length === 0) lanes.delete(webhook);
    if (givenUp !== undefined) {
      this.#store.activity.push({ appId, ...givenUp });
      if (this.#store.activity.length > ACTIVITY_ENTRIES) this.#store.activity.shift();
    }
    return Promise.resolve(true);
  }

  release(appId: string, webhooks: readonly string[]): Promise<'released' | 'more' | 'away'> {
    if (this.#store.away) return Promise.resolve('away');
    const waiting = this.#store.of(appId);
    if (this.#other(waiting) !== undefined) return Promise.resolve('released');
    if (!isEmpty(waiting, webhooks)) return Promise.resolve('more');
    this.#store.forget(appId);
    return Promise.resolve('released');
  }

  abandon(appId: string): Promise<void> {
    const waiting = this.#store.of(appId);
    if (!this.#store.away && this.#other(waiting) === undefined) waiting.lease = undefined;
    return Promise.resolve();
  }

  sweepTurn(everyMs: number): Promise<boolean> {
    const now = this.#store.now();
    if (this.#store.away || now - this.#store.sweptAt < everyMs) return Promise.resolve(false);
    this.#store.sweptAt = now;
    return Promise.resolve(true);
  }

  #other({ lease }: Waiting): Lease | undefined {
    const isOther = lease !== undefined && lease.replica !== this.#replica && lease.until > this.#store.now();
    return isOther ? lease : undefined;
  }

  #renew(waiting: Waiting): void {
    waiting.lease = { replica: this.#replica, until: this.#store.now() + LEASE_MS };
  }
}

function isEmpty({ raw, lanes }: Waiting, webhooks: readonly string[]): boolean {
  return raw.length === 0 && webhooks.every((webhook) => (lanes.get(webhook)?.length ?? 0) === 0);
}
