import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import type { Directory } from '../directory/directory.ts';
import { Sleeper } from '../directory/sleeper.ts';
import { AppDrain, type DrainParts, type WebhookClock } from './app-drain.ts';
import { FailureReports } from './failure-reports.ts';
import type { WebhookMetrics } from './metrics.ts';
import { PostSlots } from './post-slots.ts';
import type { Post } from './post.ts';
import type { WebhookQueue } from './webhook-queue.ts';
import { wants, type WebhookEvent, type WebhookSink } from './webhook-sink.ts';

/** Webhooks of all apps, as the rest of the relay sees them. */
export interface Webhooks extends WebhookSink, AsyncDisposable {
  /** Something may wait for this app's webhooks: an event was queued, or the replica that sent for it is gone. Cheap, at any time. */
  wake(appId: string): void;
}

export type WebhooksOptions = {
  readonly queue: WebhookQueue;
  readonly post: Post;
  readonly directory: Pick<Directory, 'appById' | 'apps' | 'ready'>;
  readonly clock: WebhookClock;
  /** in [0, 1) */
  readonly random: () => number;
  readonly metrics: WebhookMetrics;
  readonly log: Logger;
};

/** POSTs that a replica has under way, over all apps. */
const SLOTS = 512;
/** How often one of the replicas looks through all apps for what was left behind. */
const SWEEP_MS = 30_000;
const SWEEP_AT_ONCE = 50;
const SWEEP_PAUSE_MS = 20;
/** Between two questions whether another replica is done with an app. */
const TAKEN_PAUSE_MS = 200;
const AWAY_PAUSE_MS = 1_000;
/** How long disposing waits for POSTs under way; what they would have delivered is sent again by another replica. */
const GRACE_MS = 3_000;

/** An app that this replica sends for, or waits to. */
type Attended = { woken: boolean; wake: () => void };

export class QueuedWebhooks implements Webhooks {
  readonly #options: WebhooksOptions;
  readonly #drainParts: DrainParts;
  readonly #stop = new AbortController();
  readonly #attended = new Map<string, Attended>();
  readonly #running = new Set<Promise<void>>();
  /** Events of this turn. */
  readonly #coming = new Map<string, WebhookEvent[]>();

  constructor(options: WebhooksOptions) {
    this.#options = options;
    // One for each app that is waited for.
    setMaxListeners(0, this.#stop.signal);
    const { clock } = options;
    const reports = new FailureReports(() => clock.monotonic());
    this.#drainParts = { ...options, slots: new PostSlots(SLOTS), reports };
    this.#run('sweep', this.#sweep());
  }

  enqueue(appId: string, events: readonly WebhookEvent[]): void {
    if (this.#stop.signal.aborted) return;
    const { webhooks = [] } = this.#options.directory.appById(appId) ?? {};
    const wanted = events.filter((event) => webhooks.some((webhook) => wants(webhook, event)));
    if (wanted.length === 0) return;
    const coming = this.#coming.get(appId);
    if (coming !== undefined) {
      coming.push(...wanted);
      return;
    }
    this.#coming.set(appId, wanted);
    this.#run('enqueue', this.#add(appId));
  }

  wake(appId: string): void {
    if (this.#stop.signal.aborted) return;
    const attended = this.#attended.get(appId);
    if (attended !== undefined) {
      attended.woken = true;
      attended.wake();
      return;
    }
    const started: Attended = { woken: true, wake: () => {} };
    this.#attended.set(appId, started);
    this.#run(
      'send',
      this.#attend(appId, started).finally(() => this.#attended.delete(appId)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What was taken is at least in the queue.
    await Promise.all([...this.#coming.keys()].map((appId) => this.#add(appId)));
    this.#stop.abort();
    for (const { wake } of this.#attended.values()) wake();
    const grace = new AbortController();
    const over = Promise.all(this.#running).then(() => grace.abort());
    await this.#options.clock.sleep(GRACE_MS, grace.signal);
    if (grace.signal.aborted) await over;
  }

  async #add(appId: string): Promise<void> {
    const timeMs = this.#options.clock.now();
    // A burst is one command.
    await Promise.resolve();
    const events = this.#coming.get(appId) ?? [];
    this.#coming.delete(appId);
    if (events.length === 0) return;
    const { dropped } = await this.#options.queue.add(appId, events, timeMs);
    if (dropped > 0) this.#options.metrics.dropped.inc({ reason: 'queue' }, dropped);
    this.wake(appId);
  }

  /** Sends for the app until nothing waits, taking turns with other replicas. */
  async #attend(appId: string, attended: Attended): Promise<void> {
    const { queue, directory, clock } = this.#options;
    const { signal } = this.#stop;
    const sleeper = new Sleeper(clock);
    while (!signal.aborted && attended.woken) {
      attended.woken = false;
      attended.wake = () => sleeper.wake();
      const webhooks = directory.appById(appId)?.webhooks ?? [];
      if (webhooks.length === 0) return;
      const claim = await queue.claim(
        appId,
        webhooks.map(({ name }) => name),
      );
      switch (claim.kind) {
        case 'held': {
          const drain = new AppDrain(this.#drainParts, appId, signal);
          attended.wake = () => drain.wake();
          await drain.run();
          // Whoever had the lease when this one lost it may be gone by now.
          attended.woken = true;
          break;
        }
        case 'taken':
          await clock.sleep(TAKEN_PAUSE_MS, signal);
          if (!attended.woken) await sleeper.sleep(claim.forMs);
          attended.woken = true;
          break;
        case 'away':
          await clock.sleep(AWAY_PAUSE_MS, signal);
          attended.woken = true;
          break;
        case 'empty':
      }
    }
  }

  async #sweep(): Promise<void> {
    const { queue, directory, clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // Each replica asks more often than there are turns, so that a turn is not lost with the replica that had it.
      await clock.sleep(SWEEP_MS / 3, signal);
      if (signal.aborted || !directory.ready() || !(await queue.sweepTurn(SWEEP_MS))) continue;
      let count = 0;
      for (const { appId, webhooks } of directory.apps()) {
        if (webhooks.length === 0) continue;
        this.wake(appId);
        count += 1;
        if (count % SWEEP_AT_ONCE === 0) await clock.sleep(SWEEP_PAUSE_MS, signal);
      }
    }
  }

  /** Nobody waits for these: an error is ours, and must end neither the process nor the others. */
  #run(what: string, work: Promise<void>): void {
    const running = work
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, what }, 'webhooks: an error of ours');
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}
