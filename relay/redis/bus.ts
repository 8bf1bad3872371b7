import { Cluster } from 'ioredis';
import type { Logger } from 'pino';
import { PATIENCE_MS, type Bus, type BusListener, type BusMessage, type Reach } from '../bus/bus.ts';
import { decodeEnvelope, encodeEnvelope } from '../bus/envelope.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';

/**
 * The bus over Redis, with *sharded* pub/sub (SSUBSCRIBE, Redis ≥ 7) everywhere: on a Cluster a plain PUBLISH is copied to every node,
 * a sharded one stays in the app's slot, and a single server or a Sentinel group takes the same commands. Pub/sub and not streams: an
 * event has no meaning for who connects later.
 */
export type RedisBusOptions = {
  readonly publisher: RedisClient;
  /** Its own connection; of a Cluster one made with `shardedSubscribers: true`. */
  readonly subscriber: RedisClient;
  readonly keys: AppKeys;
  /** Names this process, so that its own messages are dropped. */
  readonly origin: string;
  readonly listener: BusListener;
  readonly log: Logger;
  readonly now: Monotonic;
  /** A reload of a page leaves and joins within a moment; that shall not cost two commands. Default 3 s. */
  readonly lingerMs?: number;
};

type Interest = {
  readonly appId: string;
  readonly channel: string;
  count: number;
  /** Set while count is 0 and the subscription lingers. */
  idleSince: number | undefined;
  /** What Redis knows: `asked` while SSUBSCRIBE is under way. */
  state: 'unknown' | 'asked' | 'confirmed';
  waiting: ((outcome: 'subscribed' | 'degraded') => void)[];
};

const DEFAULT_LINGER_MS = 3_000;
const SWEEP_MS = 500;
/**
 * A Cluster ends the subscriptions of a slot that moves, and the client library may ask a node that does not know of the move yet, and
 * take its answer for good. Subscribing again to what is subscribed costs next to nothing.
 */
const CLUSTER_REASSERT_MS = 5_000;
const CHANNELS_PER_COMMAND = 500;
/** The payload crosses to Redis once, however many channels it goes to. ARGV: payload, then the channels. */
const PUBLISH_TO_MANY = `for i = 2, #ARGV do redis.call('SPUBLISH', ARGV[i], ARGV[1]) end return #ARGV - 1`;

export class RedisBus implements Bus {
  readonly #options: RedisBusOptions;
  readonly #patience: Patience;
  readonly #interests = new Map<string, Interest>();
  /** Those whose state is `unknown`, so that a new channel does not cost a look at all the others. */
  readonly #unknown = new Map<string, Interest>();
  readonly #sweep: NodeJS.Timeout;
  #flushScheduled = false;
  #reassertedAt: number;

  constructor(options: RedisBusOptions) {
    this.#options = options;
    this.#reassertedAt = options.now();
    this.#patience = new Patience(options.publisher, PATIENCE_MS, options.now);
    options.subscriber.on('smessageBuffer', this.#receive);
    options.subscriber.on('close', this.#forgetConfirmations);
    options.subscriber.on('ready', this.#scheduleFlush);
    this.#sweep = setInterval(() => this.#sweepOnce(), SWEEP_MS).unref();
  }

  async publish(appId: string, channels: readonly string[], message: BusMessage): Promise<Reach> {
    const bytes = encodeEnvelope(this.#options.origin, message);
    const names = channels.map((channel) => this.#options.keys.bus(appId, channel));
    const [first] = names;
    const answer = await this.#patience.ask((client) =>
      names.length === 1 && first !== undefined
        ? client.spublish(first, bytes)
        : client.call('EVAL', PUBLISH_TO_MANY, 1, this.#options.keys.slot(appId), bytes, ...names),
    );
    return answer === undefined ? 'local' : 'everywhere';
  }

  subscribe(appId: string, channel: string): Promise<'subscribed' | 'degraded'> {
    const name = this.#options.keys.bus(appId, channel);
    const interest = this.#interests.get(name) ?? this.#newInterest(name, appId, channel);
    interest.count += 1;
    interest.idleSince = undefined;
    if (interest.state === 'confirmed') return Promise.resolve('subscribed');
    this.#scheduleFlush();
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve('degraded'), PATIENCE_MS);
      interest.waiting.push((outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      });
    });
  }

  unsubscribe(appId: string, channel: string): void {
    const interest = this.#interests.get(this.#options.keys.bus(appId, channel));
    if (interest === undefined || interest.count === 0) return;
    interest.count -= 1;
    if (interest.count === 0) interest.idleSince = this.#options.now();
  }

  [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    this.#options.subscriber.off('smessageBuffer', this.#receive);
    this.#options.subscriber.off('close', this.#forgetConfirmations);
    this.#options.subscriber.off('ready', this.#scheduleFlush);
    for (const interest of this.#interests.values()) settle(interest, 'degraded');
    return Promise.resolve();
  }

  #newInterest(name: string, appId: string, channel: string): Interest {
    const interest: Interest = { appId, channel, count: 0, idleSince: undefined, state: 'unknown', waiting: [] };
    this.#interests.set(name, interest);
    this.#unknown.set(name, interest);
    return interest;
  }

  readonly #receive = (name: Buffer, bytes: Buffer): void => {
    const interest = this.#interests.get(name.toString());
    if (interest === undefined || interest.count === 0) return;
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) {
      this.#options.log.warn({ appId: interest.appId, bytes: bytes.length }, 'message on the bus refused: no envelope');
      return;
    }
    if (envelope.origin !== this.#options.origin) this.#options.listener(interest.appId, interest.channel, envelope);
  };

  readonly #forgetConfirmations = (): void => {
    for (const [name, interest] of this.#interests) this.#forget(name, interest);
  };

  #forget(name: string, interest: Interest): void {
    interest.state = 'unknown';
    // Not one that was given up meanwhile: another may have its name by now.
    if (this.#interests.get(name) === interest) this.#unknown.set(name, interest);
  }

  /** At the end of the turn, so that the subscriptions of many sockets go out as one command. */
  readonly #scheduleFlush = (): void => {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#subscribeToAll(this.#unknown);
    });
  };

  #subscribeToAll(interests: Iterable<readonly [name: string, interest: Interest]>): void {
    const byApp = new Map<string, Map<string, Interest>>();
    for (const [name, interest] of interests) {
      if (interest.count === 0) continue;
      const names = byApp.get(interest.appId) ?? new Map<string, Interest>();
      byApp.set(interest.appId, names.set(name, interest));
    }
    for (const wanted of byApp.values()) {
      const all = [...wanted];
      for (let at = 0; at < all.length; at += CHANNELS_PER_COMMAND) {
        void this.#subscribeTo(all.slice(at, at + CHANNELS_PER_COMMAND));
      }
    }
  }

  async #subscribeTo(wanted: readonly (readonly [name: string, interest: Interest])[]): Promise<void> {
    const { subscriber } = this.#options;
    if (subscriber.status !== 'ready') {
      for (const [, interest] of wanted) settle(interest, 'degraded');
      return;
    }
    for (const [name, interest] of wanted) {
      interest.state = 'asked';
      this.#unknown.delete(name);
    }
    try {
      await subscriber.ssubscribe(...wanted.map(([name]) => name));
      for (const [name, interest] of wanted) {
        // `unknown` again: the connection closed in between.
        if (interest.state === 'asked') interest.state = 'confirmed';
        if (!this.#interests.has(name)) this.#unsubscribeFrom([name]);
        settle(interest, 'subscribed');
      }
    } catch {
      // Away: `ready` and the sweep try again; the outage itself is logged once by the connection.
      const left: string[] = [];
      for (const [name, interest] of wanted) {
        this.#forget(name, interest);
        settle(interest, 'degraded');
        if (!this.#interests.has(name)) left.push(name);
      }
      if (subscriber.status === 'ready') this.#unsubscribeFrom(left);
    }
  }

  #sweepOnce(): void {
    const { subscriber, now, lingerMs = DEFAULT_LINGER_MS } = this.#options;
    if (subscriber instanceof Cluster && now() - this.#reassertedAt >= CLUSTER_REASSERT_MS) {
      this.#reassertedAt = now();
      this.#subscribeToAll([...this.#interests].filter(([, { state }]) => state === 'confirmed'));
    }
    const over = new Map<string, string[]>();
    let unconfirmed = false;
    for (const [name, interest] of this.#interests) {
      if (interest.idleSince !== undefined && now() - interest.idleSince >= lingerMs) {
        this.#interests.delete(name);
        this.#unknown.delete(name);
        // What was asked is seen to when the answer comes. `unknown` may be subscribed all the same: a command that timed out was sent.
        if (interest.state === 'asked') continue;
        const names = over.get(interest.appId);
        if (names === undefined) over.set(interest.appId, [name]);
        else names.push(name);
      }
      unconfirmed ||= interest.state === 'unknown' && interest.count > 0;
    }
    if (subscriber.status !== 'ready') return;
    for (const names of over.values()) this.#unsubscribeFrom(names);
    if (unconfirmed) this.#scheduleFlush();
  }

  #unsubscribeFrom(names: readonly string[]): void {
    for (let at = 0; at < names.length; at += CHANNELS_PER_COMMAND) {
      // Failing is no harm: a subscription ends with its connection, and messages nobody waits for are dropped.
      this.#options.subscriber.sunsubscribe(...names.slice(at, at + CHANNELS_PER_COMMAND)).catch(() => undefined);
    }
  }
}

function settle(interest: Interest, outcome: 'subscribed' | 'degraded'): void {
  for (const resolve of interest.waiting.splice(0)) resolve(outcome);
}
