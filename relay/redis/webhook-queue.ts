import { z } from 'zod';
import { parseJsonAs } from '#crds/json-text.ts';
import { PATIENCE_MS } from '../bus/bus.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { webhookEvent, type WebhookEvent } from '../webhooks/webhook-sink.ts';
import {
  LEASE_MS,
  type Claim,
  type Delivery,
  type GivenUp,
  type Route,
  type Step,
  type WebhookQueue,
} from '../webhooks/webhook-queue.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';
import { webhookKeys, webhookSweepKey } from './webhook-keys.ts';
import { ABANDON, ADD, CLAIM, MOVE, RELEASE, REMOVE, RENEW } from './webhook-scripts.ts';

export type RedisWebhookQueueOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  /** REDIS_PREFIX. */
  readonly prefix: string;
  /** Of this process, not of the machine: one that comes back must not take itself for the one that died. */
  readonly replica: string;
  readonly now: Monotonic;
  readonly wallClock: () => number;
};

const EVENTS_PER_STEP = 200;

/** Of both kinds of streams; the scripts rely on the order. */
const streamEntry = z.tuple([
  z.string(),
  z.tuple([z.literal('event'), z.string(), z.literal('time_ms'), z.coerce.number()]),
]);
const streamEntries = z.array(z.unknown());
const entryId = z.tuple([z.string()], z.unknown());
const claimed = z.union([z.literal('held'), z.literal('empty'), z.int()]);
const counts = z.array(z.int());

export class RedisWebhookQueue implements WebhookQueue {
  readonly #options: RedisWebhookQueueOptions;
  readonly #patience: Patience;

  constructor(options: RedisWebhookQueueOptions) {
    this.#options = options;
    this.#patience = new Patience(options.client, PATIENCE_MS, options.now);
  }

  async add(appId: string, events: readonly WebhookEvent[], timeMs: number): Promise<{ readonly dropped: number }> {
    const { raw } = webhookKeys(this.#options.keys, appId);
    const texts = events.map((event) => JSON.stringify(event));
    const dropped = z.int().safeParse(await this.#run(ADD, [raw], [timeMs, ...texts]));
    return { dropped: dropped.data ?? events.length };
  }

  async claim(appId: string, webhooks: readonly string[]): Promise<Claim> {
    const answer = await this.#run(CLAIM, this.#laneKeys(appId, webhooks), [this.#options.replica, LEASE_MS]);
    const kind = claimed.safeParse(answer).data ?? 'away';
    return typeof kind === 'number' ? { kind: 'taken', forMs: Math.max(0, kind) } : { kind };
  }

  async step(appId: string, webhooks: readonly string[], route: Route): Promise<Step> {
    const { raw, lease, bytes, deliveries } = webhookKeys(this.#options.keys, appId);
    const renewal = [this.#options.replica, LEASE_MS, EVENTS_PER_STEP];
    const answer = await this.#run(RENEW, [raw, lease], renewal);
    if (answer === null) return { kind: 'lost' };
    const waiting = streamEntries.safeParse(answer).data;
    if (waiting === undefined) return { kind: 'away' };
    if (waiting.length === 0) return { kind: 'held', moved: 0, more: false, dropped: [] };
    const numbers = new Map(webhooks.map((name, at) => [name, at + 1]));
    const moves = waiting.flatMap((entry) => {
      const id = entryId.safeParse(entry).data?.[0];
      const event = deliveryOf(entry)?.event;
      const lanes = event === undefined ? [] : route(event).map((name) => numbers.get(name));
      // What is no event goes nowhere, and must not stay in the way.
      return id === undefined ? [] : [id, lanes.filter((lane) => lane !== undefined).join(',')];
    });
    const moved = counts.safeParse(await this.#run(MOVE, [raw, bytes, ...webhooks.map(deliveries)], moves));
    if (!moved.success) return { kind: 'away' };
    const dropped = webhooks.map((webhook, at) => ({ webhook, reason: 'overflow', events: moved.data[at] ?? 0 }));
    return {
      kind: 'held',
      moved: waiting.length,
      more: waiting.length === EVENTS_PER_STEP,
      dropped: dropped.filter(({ events }) => events > 0),
    };
  }

  async read(
    appId: string,
    webhook: string,
    after: string | undefined,
    count: number,
  ): Promise<readonly Delivery[] | 'away'> {
    const lane = webhookKeys(this.#options.keys, appId).deliveries(webhook);
    const answer = await this.#patience.ask((client) =>
      client.call('XRANGE', lane, after === undefined ? '-' : `(${after}`, '+', 'COUNT', count),
    );
    const entries = streamEntries.safeParse(answer).data;
    if (entries === undefined) return 'away';
    // A replica of a later version may have put it there; nobody here can send it, and it must not stay in the way.
    const unreadable = entries.filter((entry) => deliveryOf(entry) === undefined);
    const ids = unreadable.flatMap((entry) => entryId.safeParse(entry).data?.[0] ?? []);
    if (ids.length > 0) await this.remove(appId, webhook, ids);
    return entries.flatMap((entry) => deliveryOf(entry) ?? []);
  }

  async remove(appId: string, webhook: string, ids: readonly string[], givenUp?: GivenUp): Promise<boolean> {
    const { deliveries, bytes, activity } = webhookKeys(this.#options.keys, appId);
    const told = givenUp === undefined ? '' : JSON.stringify(givenUp);
    const rest = [this.#options.wallClock(), told, ...ids];
    return (await this.#run(REMOVE, [deliveries(webhook), bytes, activity], rest)) !== undefined;
  }

  async release(appId: string, webhooks: readonly string[]): Promise<'released' | 'more' | 'away'> {
    const answer = await this.#run(RELEASE, this.#laneKeys(appId, webhooks), [this.#options.replica]);
    if (answer === 1) return 'released';
    return answer === 0 ? 'more' : 'away';
  }

  async abandon(appId: string): Promise<void> {
    await this.#run(ABANDON, [webhookKeys(this.#options.keys, appId).lease], [this.#options.replica]);
  }

  async sweepTurn(everyMs: number): Promise<boolean> {
    const { prefix, replica } = this.#options;
    const answer = await this.#patience.ask((client) =>
      client.call('SET', webhookSweepKey(prefix), replica, 'NX', 'PX', everyMs),
    );
    return answer === 'OK';
  }

  #laneKeys(appId: string, webhooks: readonly string[]): string[] {
    const { raw, lease, deliveries } = webhookKeys(this.#options.keys, appId);
    return [raw, lease, ...webhooks.map(deliveries)];
  }

  /** undefined: no answer. */
  #run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#patience.ask((client) => client.call('EVAL', script, keys.length, ...keys, ...args));
  }
}

/** undefined: not one of ours, or of a later version. */
function deliveryOf(entry: unknown): Delivery | undefined {
  const parsed = streamEntry.safeParse(entry).data;
  if (parsed === undefined) return undefined;
  const [id, [, text, , timeMs]] = parsed;
  const event = parseJsonAs(webhookEvent, text);
  return event === undefined ? undefined : { id, timeMs, event };
}
