import type { Bus } from '../bus/bus.ts';
import type { Signals } from '../bus/signals.ts';
import type { Occupancy } from '../occupancy/occupancy.ts';
import { watchlistEvents } from '../protocol/server-message.ts';
import { textFrame } from '../protocol/text-frame.ts';
import { userChannel, userOfChannel } from './user-channel.ts';

/** A socket as watchlists see it. */
export type Watcher = { readonly appId: string; sendFrame(frame: Buffer): void };

export type WatchlistParts = {
  readonly bus: Bus;
  readonly signals: Pick<Signals, 'on'>;
  readonly occupancy: Pick<Occupancy, 'online'>;
};

/** A user that somebody here watches. `online` is what all of `watchers` were told. */
type Watched = {
  readonly appId: string;
  readonly userId: string;
  /** Sockets that want it, also those that are still waiting for their first news. */
  interest: number;
  readonly watchers: Set<Watcher>;
  online: boolean;
  /** Counts the news, so that an answer of the store that is older than a signal is told from a newer one. */
  news: number;
};

/** Users to ask the store about at once. */
const CHUNK = 500;

/**
 * Tells sockets when the users on their watchlists come online and go offline (pusher-protocol: Events). Transitions come as signals from
 * the script that counts connections, so each is announced once over all replicas; a lost one is made good by {@link reconcile}.
 */
export class Watchlists {
  readonly #parts: WatchlistParts;
  readonly #watched = new Map<string, Watched>();
  readonly #lists = new Map<Watcher, readonly Watched[]>();

  constructor(parts: WatchlistParts) {
    this.#parts = parts;
    parts.signals.on('user-online', (appId, channel) => this.#signalled(appId, channel, true));
    parts.signals.on('user-offline', (appId, channel) => this.#signalled(appId, channel, false));
  }

  /**
   * Tells the socket who of them is online now, and every change from then on, until `unwatch`. Replaces whom it watched; the same ones
   * again are no change, or a client that repeats its sign-in would cost a hundred subscriptions each time.
   */
  async watch(watcher: Watcher, userIds: readonly string[]): Promise<void> {
    const { bus } = this.#parts;
    const { appId } = watcher;
    const former = this.#lists.get(watcher);
    if (former?.length === userIds.length && former.every(({ userId }, at) => userId === userIds[at])) return;
    this.unwatch(watcher);
    if (userIds.length === 0) return;
    const list = userIds.map((userId) => this.#wanted(appId, userId));
    this.#lists.set(watcher, list);
    await Promise.all(list.map(({ userId }) => bus.subscribe(appId, userChannel(userId))));
    await this.#ask(appId, list);
    if (this.#lists.get(watcher) !== list) return;
    for (const watched of list) watched.watchers.add(watcher);
    const are = (online: boolean): string[] => list.filter((one) => one.online === online).map(({ userId }) => userId);
    watcher.sendFrame(textFrame(watchlistEvents(are(true), are(false))));
  }

  unwatch(watcher: Watcher): void {
    const list = this.#lists.get(watcher);
    if (list === undefined) return;
    this.#lists.delete(watcher);
    for (const watched of list) {
      watched.watchers.delete(watcher);
      watched.interest -= 1;
      if (watched.interest === 0) this.#watched.delete(keyOf(watched.appId, watched.userId));
      this.#parts.bus.unsubscribe(watched.appId, userChannel(watched.userId));
    }
  }

  /** Asks the store about everybody who is watched: a signal may be lost with the connection that should have brought it. */
  async reconcile(): Promise<void> {
    for (const [appId, all] of Map.groupBy(this.#watched.values(), ({ appId }) => appId)) {
      for (let at = 0; at < all.length; at += CHUNK) await this.#ask(appId, all.slice(at, at + CHUNK));
    }
  }

  #wanted(appId: string, userId: string): Watched {
    const key = keyOf(appId, userId);
    const known = this.#watched.get(key);
    const watched = known ?? { appId, userId, interest: 0, watchers: new Set<Watcher>(), online: false, news: 0 };
    if (known === undefined) this.#watched.set(key, watched);
    watched.interest += 1;
    return watched;
  }

  async #ask(appId: string, list: readonly Watched[]): Promise<void> {
    const before = list.map(({ news }) => news);
    const { value, reached } = await this.#parts.occupancy.online(
      appId,
      list.map(({ userId }) => userId),
    );
    list.forEach((watched, at) => {
      // Of an answer without the store only what is here is known.
      if (watched.news === before[at] && (reached || value.has(watched.userId))) {
        this.#is(watched, value.has(watched.userId));
      }
    });
  }

  #signalled(appId: string, channel: string, online: boolean): void {
    const watched = this.#watched.get(keyOf(appId, userOfChannel(channel)));
    if (watched === undefined) return;
    watched.news += 1;
    this.#is(watched, online);
  }

  #is(watched: Watched, online: boolean): void {
    if (watched.online === online) return;
    watched.online = online;
    if (watched.watchers.size === 0) return;
    const ids = [watched.userId];
    const frame = textFrame(online ? watchlistEvents(ids, []) : watchlistEvents([], ids));
    for (const watcher of watched.watchers) watcher.sendFrame(frame);
  }
}

/** A line feed is in no app id. */
const keyOf = (appId: string, userId: string): string => `${appId}\n${userId}`;
