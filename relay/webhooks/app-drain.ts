import type { Logger } from 'pino';
import type { MonotonicClock } from '../directory/clock.ts';
import type { App, Directory } from '../directory/directory.ts';
import { Sleeper } from '../directory/sleeper.ts';
import type { FailureReports } from './failure-reports.ts';
import { Lane } from './lane.ts';
import type { WebhookMetrics } from './metrics.ts';
import { webhookRequest } from './payload.ts';
import type { PostSlots } from './post-slots.ts';
import type { Post } from './post.ts';
import { LEASE_MS, type Delivery, type GivenUp, type WebhookQueue } from './webhook-queue.ts';
import { wants } from './webhook-sink.ts';

export type WebhookClock = MonotonicClock & {
  /** Epoch milliseconds. */
  now(): number;
};

export type DrainParts = {
  readonly queue: WebhookQueue;
  readonly post: Post;
  readonly directory: Pick<Directory, 'appById'>;
  readonly clock: WebhookClock;
  /** in [0, 1) */
  readonly random: () => number;
  readonly slots: PostSlots;
  readonly reports: FailureReports;
  readonly metrics: WebhookMetrics;
  readonly log: Logger;
};

/** Deliveries of one webhook that are held in memory, about, and their bytes; what comes after these waits in the queue. */
const WINDOW = 1_000;
const WINDOW_BYTES = 1_048_576;
const READ_COUNT = 100;
/** A POST is only begun while the lease lasts longer than it can take, so that two replicas never send the same at the same time. */
const LEASE_MARGIN_MS = 10_000;
/** How soon it is noticed what another replica added: while the endpoints answer, and while there is nothing but pauses. */
const BUSY_POLL_MS = 200;
const PAUSED_POLL_MS = 1_000;

/** What is to be removed from the queue as soon as it can be reached. */
type Finished = { readonly webhook: string; readonly ids: readonly string[]; readonly givenUp: GivenUp | undefined };
type OpenLane = { readonly lane: Lane; lastRead: string | undefined; hasUnread: boolean };

/** Sends what waits for one app's webhooks, as long as this replica has its lease and there is something. */
export class AppDrain {
  readonly #parts: DrainParts;
  readonly #appId: string;
  readonly #signal: AbortSignal;
  readonly #sleeper: Sleeper;
  readonly #lanes = new Map<string, OpenLane>();
  readonly #posting = new Set<Promise<void>>();
  #finished: Finished[] = [];
  /** Monotonic. */
  #heldUntil = 0;

  /** Call when the lease was just claimed. */
  constructor(parts: DrainParts, appId: string, signal: AbortSignal) {
    this.#parts = parts;
    this.#appId = appId;
    this.#signal = signal;
    this.#sleeper = new Sleeper(parts.clock);
  }

  /** There may be more to send. */
  wake(): void {
    this.#sleeper.wake();
  }

  /** Resolves when nothing is left, or the lease is another's, or (wake it then) the signal is aborted and what was under way is over. */
  async run(): Promise<void> {
    while (!this.#signal.aborted && (await this.#round())) {
      const { clock } = this.#parts;
      const poll = this.#posting.size > 0 ? BUSY_POLL_MS : PAUSED_POLL_MS;
      await this.#sleeper.sleep(Math.max(0, Math.min(poll, this.#nextAt() - clock.now())));
    }
    await Promise.all(this.#posting);
    await this.#removeFinished();
    await this.#parts.queue.abandon(this.#appId);
  }

  /** False: over. */
  async #round(): Promise<boolean> {
    const { queue, directory, clock } = this.#parts;
    const app = directory.appById(this.#appId);
    // What is left of an app that is gone expires.
    if (app === undefined) return false;
    const names = app.webhooks.map(({ name }) => name);
    this.#openLanes(names);
    await this.#removeFinished();
    const began = clock.monotonic();
    const step = await queue.step(this.#appId, names, (event) =>
      app.webhooks.filter((webhook) => wants(webhook, event)).map(({ name }) => name),
    );
    if (step.kind === 'lost') return false;
    if (step.kind === 'held') {
      this.#heldUntil = began + LEASE_MS;
      for (const dropped of step.dropped) this.#tellDropped(dropped);
      if (step.moved > 0) for (const open of this.#lanes.values()) open.hasUnread = true;
    }
    await Promise.all([...this.#lanes].map(([name, open]) => this.#read(name, open)));
    this.#giveUpExpired();
    this.#startPosts(app);
    if (step.kind === 'held' && step.more) this.wake();
    return step.kind === 'away' || step.moved > 0 || !this.#isIdle() || !(await this.#release(names));
  }

  async #release(names: readonly string[]): Promise<boolean> {
    const answer = await this.#parts.queue.release(this.#appId, names);
    if (answer === 'more') {
      // Nothing is held here, so reading from the beginning takes nothing twice.
      for (const open of this.#lanes.values()) Object.assign(open, { hasUnread: true, lastRead: undefined });
      this.wake();
    }
    return answer === 'released';
  }

  #openLanes(names: readonly string[]): void {
    for (const name of names) {
      if (this.#lanes.has(name)) continue;
      this.#lanes.set(name, { lane: new Lane(this.#parts.random), lastRead: undefined, hasUnread: true });
    }
    // Nobody wants to be told any more; what is under way ends by itself.
    for (const name of this.#lanes.keys()) if (!names.includes(name)) this.#lanes.delete(name);
  }

  async #read(name: string, open: OpenLane): Promise<void> {
    while (open.hasUnread && open.lane.size < WINDOW && open.lane.bytes < WINDOW_BYTES) {
      const deliveries = await this.#parts.queue.read(this.#appId, name, open.lastRead, READ_COUNT);
      if (deliveries === 'away') return;
      open.lane.add(deliveries);
      open.lastRead = deliveries.at(-1)?.id ?? open.lastRead;
      open.hasUnread = deliveries.length === READ_COUNT;
    }
  }

  #startPosts(app: App): void {
    const now = this.#parts.clock.now();
    for (const { name, batching } of app.webhooks) {
      const lane = this.#lanes.get(name)?.lane;
      if (lane === undefined) continue;
      for (;;) {
        const deliveries = this.#mayPost() ? lane.take(now, batching) : [];
        if (deliveries.length === 0) break;
        const posting = this.#parts.slots
          .run(this.#appId, () => this.#post(name, lane, deliveries))
          .finally(() => {
            this.#posting.delete(posting);
            this.wake();
          });
        this.#posting.add(posting);
      }
    }
  }

  #mayPost(): boolean {
    return !this.#signal.aborted && this.#parts.clock.monotonic() < this.#heldUntil - LEASE_MARGIN_MS;
  }

  async #post(name: string, lane: Lane, deliveries: readonly Delivery[]): Promise<void> {
    const { directory, post, metrics, clock } = this.#parts;
    // It may have waited for a slot.
    if (!this.#mayPost()) {
      lane.putBack(deliveries);
      return;
    }
    const app = directory.appById(this.#appId);
    const webhook = app?.webhooks.find((one) => one.name === name);
    if (app === undefined || webhook === undefined) {
      lane.putBack(deliveries);
      return;
    }
    const request = webhookRequest(app, webhook, deliveries, this.#parts.clock.now());
    const result = request === undefined ? ({ outcome: 'refused', reason: 'no_key' } as const) : await post(request);
    metrics.posts.inc({ outcome: result.outcome === 'delivered' ? 'delivered' : result.reason });
    switch (result.outcome) {
      case 'delivered':
        lane.sent(deliveries);
        metrics.delivered.inc(deliveries.length);
        this.#finish(name, deliveries, undefined);
        break;
      case 'failed':
        lane.failed(deliveries, result.reason, clock.now());
        break;
      case 'refused':
        this.#giveUp(name, lane.refused(deliveries), result.reason);
    }
  }

  #giveUpExpired(): void {
    for (const [name, { lane }] of this.#lanes) {
      const { deliveries, reason } = lane.expired(this.#parts.clock.now());
      if (deliveries.length > 0) this.#giveUp(name, deliveries, reason);
    }
  }

  #giveUp(webhook: string, deliveries: readonly Delivery[], reason: string): void {
    const { metrics } = this.#parts;
    metrics.failed.inc({ reason }, deliveries.length);
    this.#finish(webhook, deliveries, this.#told({ webhook, reason, events: deliveries.length }));
  }

  #tellDropped(dropped: GivenUp): void {
    this.#parts.metrics.dropped.inc({ reason: 'overflow' }, dropped.events);
    const givenUp = this.#told(dropped);
    if (givenUp !== undefined) this.#finish(dropped.webhook, [], givenUp);
  }

  /** Logs it, if it is to be told now. Neither what happened nor where it was to be sent: both may be secret. */
  #told(givenUp: GivenUp): GivenUp | undefined {
    const now = this.#parts.reports.add(this.#appId, givenUp);
    if (now !== undefined) this.#parts.log.warn({ appId: this.#appId, ...now }, 'webhook events were given up');
    return now;
  }

  #finish(webhook: string, deliveries: readonly Delivery[], givenUp: GivenUp | undefined): void {
    this.#finished.push({ webhook, ids: deliveries.map(({ id }) => id), givenUp });
  }

  async #removeFinished(): Promise<void> {
    const finished = this.#finished;
    this.#finished = [];
    const removed = await Promise.all(
      merged(finished).map(async (one) => {
        const { webhook, ids, givenUp } = one;
        return (await this.#parts.queue.remove(this.#appId, webhook, ids, givenUp)) ? [] : [one];
      }),
    );
    this.#finished.push(...removed.flat());
  }

  #isIdle(): boolean {
    const isEmpty = [...this.#lanes.values()].every(({ lane, hasUnread }) => lane.size === 0 && !hasUnread);
    return isEmpty && this.#posting.size === 0 && this.#finished.length === 0;
  }

  #nextAt(): number {
    const now = this.#parts.clock.now();
    return Math.min(...[...this.#lanes.values()].map(({ lane }) => lane.nextAt(now) ?? Number.POSITIVE_INFINITY));
  }
}

/** One call per webhook for what was delivered. */
function merged(finished: readonly Finished[]): Finished[] {
  const delivered = new Map<string, string[]>();
  for (const { webhook, ids, givenUp } of finished) {
    if (givenUp === undefined) delivered.set(webhook, [...(delivered.get(webhook) ?? []), ...ids]);
  }
  const told = finished.filter(({ givenUp }) => givenUp !== undefined);
  return [...told, ...[...delivered].map(([webhook, ids]) => ({ webhook, ids, givenUp: undefined }))];
}
