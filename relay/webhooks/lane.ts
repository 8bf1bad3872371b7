import { backoffMs, RETRY_WINDOW_MS } from './backoff.ts';
import type { Delivery } from './webhook-queue.ts';

/** POSTs to one endpoint at the same time. */
const POSTS_AT_ONCE = 8;
const BATCH_EVENTS = 100;
const BATCH_BYTES = 262_144;

type Item = {
  readonly delivery: Delivery;
  readonly bytes: number;
  failures: number;
  dueAt: number;
  isOut: boolean;
  /** The endpoint's failures when it was sent last. */
  round: number;
};

/**
 * What one webhook still has to be told, and what of it is to be sent next: pure, times are epoch milliseconds.
 *
 * Events of one channel are told one after the other, in their order, also while one of them is tried again: a receiver that follows
 * occupied and vacated never ends with the wrong one. Different channels do not wait for each other. While the endpoint fails, one
 * POST at a time asks whether it is back, after pauses that grow: a dead endpoint costs next to nothing.
 */
export class Lane {
  readonly #random: () => number;
  /** In the order of the queue. */
  readonly #items = new Map<string, Item>();
  #bytes = 0;
  #out = 0;
  /** POSTs that failed since one succeeded; those that were under way together count as one. */
  #failures = 0;
  #pausedUntil = 0;
  #lastReason = '';

  /** @param random in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Deliveries that are not finished. */
  get size(): number {
    return this.#items.size;
  }

  /** Of these deliveries' events. */
  get bytes(): number {
    return this.#bytes;
  }

  /** POSTs under way. */
  get out(): number {
    return this.#out;
  }

  add(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      const bytes = Buffer.byteLength(JSON.stringify(delivery.event));
      this.#bytes += bytes;
      this.#items.set(delivery.id, { delivery, bytes, failures: 0, dueAt: 0, isOut: false, round: 0 });
    }
  }

  /**
   * What to send now, in one POST; empty: nothing. Who takes says afterwards what became of it, by one of the methods below.
   * @param batching several events in one POST
   */
  take(now: number, batching: boolean): readonly Delivery[] {
    const atOnce = this.#failures > 0 || batching ? 1 : POSTS_AT_ONCE;
    if (now < this.#pausedUntil || this.#out >= atOnce) return [];
    const taken: Item[] = [];
    const held = new Set<string>();
    let bytes = 0;
    let most = batching ? BATCH_EVENTS : 1;
    for (const item of this.#items.values()) {
      const { channel } = item.delivery.event;
      if (item.isOut || item.dueAt > now || held.has(channel)) {
        held.add(channel);
        continue;
      }
      // Smaller each time, so that one event that the endpoint cannot take does not cost the others.
      if (taken.length === 0) most = Math.max(1, most >> (2 * item.failures));
      bytes += item.bytes;
      if (taken.length > 0 && bytes > BATCH_BYTES) break;
      taken.push(item);
      if (taken.length >= most) break;
    }
    for (const item of taken) {
      item.isOut = true;
      item.round = this.#failures;
    }
    if (taken.length > 0) this.#out += 1;
    return taken.map(({ delivery }) => delivery);
  }

  /** The endpoint took these. */
  sent(deliveries: readonly Delivery[]): void {
    this.#out -= 1;
    this.#failures = 0;
    this.#pausedUntil = 0;
    this.#delete(deliveries);
  }

  /** It was not sent after all. */
  putBack(deliveries: readonly Delivery[]): void {
    this.#out -= 1;
    for (const { id } of deliveries) {
      const item = this.#items.get(id);
      if (item !== undefined) item.isOut = false;
    }
  }

  /** The endpoint did not take these. */
  failed(deliveries: readonly Delivery[], reason: string, now: number): void {
    this.#out -= 1;
    this.#lastReason = reason;
    const items = deliveries.flatMap(({ id }) => this.#items.get(id) ?? []);
    if (items.some(({ round }) => round === this.#failures)) {
      this.#failures += 1;
      // One failure may be about the event; from the second on it is about the endpoint.
      if (this.#failures > 1) this.#pausedUntil = now + backoffMs(this.#failures - 1, this.#random);
    }
    for (const item of items) {
      item.isOut = false;
      item.failures += 1;
      item.dueAt = now + backoffMs(item.failures, this.#random);
    }
  }

  /**
   * Takes out what is past its time: it failed, or the endpoint fails and there was no occasion to try. What was never tried because
   * others took so long is not given up.
   */
  expired(now: number): { readonly deliveries: readonly Delivery[]; readonly reason: string } {
    const gone = [...this.#items.values()].filter(
      ({ delivery, failures, isOut }) =>
        !isOut && (failures > 0 || this.#failures > 0) && now - delivery.timeMs >= RETRY_WINDOW_MS,
    );
    return { deliveries: this.#delete(gone.map(({ delivery }) => delivery)), reason: this.#lastReason };
  }

  /** Takes out everything that is not under way: the endpoint will take nothing. `deliveries`: what was just refused. */
  refused(deliveries: readonly Delivery[]): readonly Delivery[] {
    this.#out -= 1;
    const refused = new Set(deliveries.map(({ id }) => id));
    const gone = [...this.#items.values()].filter(({ delivery, isOut }) => !isOut || refused.has(delivery.id));
    return this.#delete(gone.map(({ delivery }) => delivery));
  }

  /** When `take` or `expired` may have something that they do not have now; undefined: when something is added, sent or failed. */
  nextAt(now: number): number | undefined {
    let next: number | undefined;
    for (const { delivery, dueAt, failures, isOut } of this.#items.values()) {
      if (isOut) continue;
      const due = Math.max(dueAt, this.#pausedUntil);
      const end = failures > 0 || this.#failures > 0 ? delivery.timeMs + RETRY_WINDOW_MS : due;
      for (const at of [due, end]) if (at > now && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  #delete(deliveries: readonly Delivery[]): readonly Delivery[] {
    for (const { id } of deliveries) {
      this.#bytes -= this.#items.get(id)?.bytes ?? 0;
      this.#items.delete(id);
    }
    return deliveries;
  }
}
