import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock } from '../engine/clock.ts';
import { describeError } from '../engine/errors.ts';
import { DeliveryError, type Channel } from './channel.ts';
import { messageOf, type Sender } from './message.ts';
import type { NotificationMetrics } from './metrics.ts';
import { NOT_CONFIGURED, type ChannelName, type Notification, type NotificationQueue } from './queue.ts';
import { nextAttempt } from './retry.ts';

export type DeliveryOptions = {
  readonly queue: NotificationQueue;
  /** The channels that are configured. What waits for another one is given up. */
  readonly channels: ReadonlyMap<ChannelName, Channel>;
  readonly sender: Sender;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NotificationMetrics;
  /** Nobody will be told any more: a person should know. */
  readonly onGivenUp: (notification: Notification, error: string) => void;
};

const CHANNELS = ['Mail', 'Webhook'] as const;
/** At once and by channel, so that one that hangs keeps neither the others of its channel nor another channel waiting. */
const MOST_AT_ONCE = 4;
const POLL_MS = 5_000;
/** A letter that is not taken by then is not taken. */
const SEND_MS = 30_000;
/** Longer than sending may take, so that nobody else takes up what is still being sent. */
const CLAIM_MS = 120_000;
/** After a server did not answer: it is spared for so long, and whoever waits for it loses no attempt. */
const SPARE_MS = 30_000;
const HOUSEKEEPING_MS = 60_000;
/** How long a letter that is on its way has left when this process stops. */
const GRACE_MS = 3_000;
/** Longer than any credential is expected to be talked about. What is announced again after that is a reminder. */
const REMEMBER_MS = 400 * 86_400_000;

/**
 * Sends what was announced until the signal aborts. Never rejects for anything that a server or PostgreSQL does.
 *
 * A letter is sent at least once. Between the server's OK and the mark in PostgreSQL lies a moment in which a crash makes the next leader
 * send it again, with the same Message-ID (X-Relay-Notification-Id), by which a receiver can tell.
 */
export async function deliver(options: DeliveryOptions, signal: AbortSignal): Promise<void> {
  const cut = new AbortController();
  // What is being sent may end: broken off, it would be sent again by whoever leads next.
  signal.addEventListener('abort', () => setTimeout(() => cut.abort(), GRACE_MS).unref(), { once: true });
  const signals = { stop: signal, cut: cut.signal };
  const loops = [...options.channels].map(([name, channel]) => deliverBy(name, channel, options, signals));
  await Promise.all([...loops, keepHouse(options, signal)]);
}

/** `stop`: nothing new is begun. `cut`: what was begun ends too. */
type Signals = { readonly stop: AbortSignal; readonly cut: AbortSignal };

async function deliverBy(
  name: ChannelName,
  channel: Channel,
  options: DeliveryOptions,
  signals: Signals,
): Promise<void> {
  const { queue, clock, log } = options;
  const sending = new Set<Promise<void>>();
  let spareUntil = Number.NEGATIVE_INFINITY;
  const send = async (notification: Notification, until: number): Promise<void> => {
    const reached = await sendOne(notification, until, channel, options, signals);
    spareUntil = reached ? Number.NEGATIVE_INFINITY : clock.monotonic() + SPARE_MS;
  };
  while (!signals.stop.aborted) {
    const limit = clock.monotonic() < spareUntil ? 0 : MOST_AT_ONCE - sending.size;
    const now = clock.now();
    const until = now + CLAIM_MS;
    const claimed = limit === 0 ? [] : await attempt(() => queue.claim(name, { limit, now, until }), log);
    for (const notification of claimed ?? []) {
      const one = send(notification, until);
      sending.add(one);
      void one.then(() => sending.delete(one));
    }
    // There may be more: look again as soon as there is room. Otherwise, when it is time to.
    await pause(POLL_MS, claimed?.length === limit ? sending : [], clock, signals.stop);
  }
  await Promise.all(sending);
}

/** Returns whether there was a server that answered. */
async function sendOne(
  notification: Notification,
  until: number,
  channel: Channel,
  options: DeliveryOptions,
  { stop, cut }: Signals,
): Promise<boolean> {
  const { queue, sender, clock, log, metrics, onGivenUp } = options;
  const labels = { channel: notification.channel.toLowerCase() };
  const fields = { channel: notification.channel, occasion: notification.key, attempts: notification.attempts };
  // This process was frozen since, and it is somebody else's by now.
  if (clock.now() >= until) return true;
  let failure: DeliveryError;
  try {
    await sendLetter(notification, channel, sender, cut);
    metrics.total.inc({ ...labels, outcome: 'sent' });
    log.info(fields, 'notification sent');
    await insist(() => queue.sent(notification, clock.now()), options, stop);
    return true;
  } catch (error) {
    failure =
      error instanceof DeliveryError ? error : new DeliveryError(describeError(error).code, { about: 'Letter' });
  }
  // Whoever leads next finds it when this claim ends.
  if (stop.aborted) return true;
  const { about, message, retryAfterMs } = failure;
  const now = clock.now();
  const next = about === 'Refused' ? undefined : nextAttempt(notification, now, retryAfterMs);
  if (next === undefined) {
    metrics.total.inc({ ...labels, outcome: 'given_up' });
    log.error({ ...fields, error: message }, 'notification given up');
    await insist(() => queue.giveUp(notification, message, now), options, stop);
    onGivenUp(notification, message);
  } else {
    metrics.total.inc({ ...labels, outcome: 'failed' });
    log.warn({ ...fields, error: message, nextAttempt: new Date(next) }, 'notification not sent, trying again later');
    await insist(() => queue.failed(notification, message, next), options, stop);
  }
  return about !== 'Server';
}

async function sendLetter(
  { occasion, announcedAt, key, channel: name, recipient }: Notification,
  channel: Channel,
  sender: Sender,
  cut: AbortSignal,
): Promise<void> {
  if (occasion === null) throw new DeliveryError('announced by a newer version', { about: 'Letter' });
  const letter = {
    // Of what the row says, not of its number, which another database would give to something else.
    id: createHash('sha256')
      .update(JSON.stringify([sender.installation, key, name, recipient]))
      .digest('hex')
      .slice(0, 32),
    date: announcedAt,
    recipient,
    message: messageOf(occasion, sender),
  };
  const late = AbortSignal.timeout(SEND_MS);
  try {
    await channel.send(letter, AbortSignal.any([cut, late]));
  } catch (error) {
    if (late.aborted)
      throw new DeliveryError(`not taken within ${SEND_MS / 1_000} s`, { about: 'Server', cause: error });
    throw error;
  }
}

async function keepHouse(options: DeliveryOptions, signal: AbortSignal): Promise<void> {
  const { queue, channels, clock, log, metrics } = options;
  while (!signal.aborted) {
    const now = clock.now();
    for (const name of CHANNELS)
      if (!channels.has(name)) await attempt(() => queue.giveUpAll(name, NOT_CONFIGURED[name], now), log);
    await attempt(() => queue.forget(now - REMEMBER_MS), log);
    const waiting = await attempt(() => queue.waiting(), log);
    if (waiting !== undefined)
      for (const name of channels.keys()) metrics.waiting.set({ channel: name.toLowerCase() }, waiting.get(name) ?? 0);
    await pause(HOUSEKEEPING_MS, [], clock, signal);
  }
}

/** PostgreSQL says by itself that it is away. */
async function attempt<T>(work: () => Promise<T>, log: Logger): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    log.debug(describeError(error), 'the notifications cannot be read or written');
    return undefined;
  }
}

/** A letter that was sent must be known as sent: whoever does not know it sends it again. So this is tried for as long as it can be. */
async function insist(work: () => Promise<void>, { clock, log }: DeliveryOptions, signal: AbortSignal): Promise<void> {
  const done = async (): Promise<true> => {
    await work();
    return true;
  };
  while ((await attempt(done, log)) !== true && !signal.aborted) await pause(1_000, [], clock, signal);
}

/** Until the time is over, one of these has ended, or the signal aborts. */
async function pause(ms: number, ends: Iterable<Promise<void>>, clock: Clock, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  // Cut short: whoever waits looks at the signal.
  const slept = clock.sleep(ms, AbortSignal.any([signal, enough.signal])).catch(() => {});
  await Promise.race([slept, ...ends]);
  enough.abort();
}
