import type { Logger } from 'pino';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { describeError, ExpiredError, MalformedStreamError, TransientError } from './errors.ts';
import type { ListerWatcher, ListPage, WatchEvent } from './lister-watcher.ts';
import { compareResourceVersions } from './object.ts';
import type { EngineObject } from './object.ts';
import { OutageLog } from './outage-log.ts';
import type { Store } from './store.ts';

export type ReflectorOptions<T extends EngineObject> = {
  /** What is reflected, for logs: a plural such as `configmaps`. */
  readonly name: string;
  readonly source: ListerWatcher<T>;
  readonly store: Pick<Store<T>, 'upsert' | 'remove' | 'replace' | 'hasSynced'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Shared by the reflectors of one server, made with `LIST_OR_WATCH`: when it is down they say so in one line. Default: its own. */
  readonly outages?: OutageLog;
  /** The namespace that `source` is limited to, when the store is fed by several reflectors. */
  readonly scope?: string;
  readonly pageSize?: number;
  /** A watch that says nothing for this long (bookmarks come about every minute) is taken for half-open and cut. Milliseconds. */
  readonly silenceMs?: number;
};

export type ReflectorHealth = {
  readonly hasSynced: boolean;
  /** What is wrong at present; null while list and watch work. */
  readonly lastError: { readonly code: string; readonly message: string } | null;
  /** Wall time in milliseconds since when `lastError` has been so. */
  readonly since: number | null;
};

/** What an OutageLog of reflectors says. */
export const LIST_OR_WATCH = { down: 'list or watch failed, trying again', up: 'list and watch work again' };

/** The server ends a watch after 5 to 10 minutes; a client that is still waiting this much later is talking to nobody. */
const GRACE_MS = 30_000;
/** A watch that lived this long, or brought news, proves that the server is well: the next failure starts from the shortest delay. */
const PROVEN_MS = 30_000;

/**
 * Keeps a Store equal to what the server has: list, then watch from there, for ever; after client-go's Reflector
 * (k8s.io/client-go/tools/cache). No error ends it, only the signal.
 */
export class Reflector<T extends EngineObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #backoff: Backoff;
  readonly #outages: OutageLog;
  /** From where to watch; undefined when the state must be listed first. */
  #position: string | undefined;
  /** What the next list asks for; only '' is sure to be served after a 410. */
  #listFrom = '0';
  #paged = true;
  /** A version has expired since the last progress: normal once, e.g. after the server started anew; not again and again. */
  #expired = false;
  /** The highest version that the server has shown us. */
  #seen: string | undefined;
  #outage: { code: string; message: string; since: number; attempts: number } | null = null;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#outages = options.outages ?? new OutageLog(options.log, LIST_OR_WATCH);
    this.#backoff = new Backoff({ baseMs: 500, maxMs: 30_000, random: options.random });
  }

  health(): ReflectorHealth {
    return {
      hasSynced: this.#options.store.hasSynced(),
      lastError: this.#outage === null ? null : { code: this.#outage.code, message: this.#outage.message },
      since: this.#outage?.since ?? null,
    };
  }

  /** Runs until the signal aborts, then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#position === undefined) this.#position = await this.#list(signal);
        else this.#position = await this.#watch(this.#position, signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#fail(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { source, store, pageSize = 500, scope = '' } = this.#options;
    const items: T[] = [];
    let page: ListPage<T>;
    let from: string | undefined;
    do {
      try {
        page = await source.list({
          limit: this.#paged ? pageSize : 0,
          resourceVersion: from === undefined ? this.#listFrom : '',
          ...(from === undefined ? {} : { continue: from }),
          signal,
        });
      } catch (error) {
        // The pages to come are gone, and would be next time if paging takes too long: ask for all at once.
        if (from !== undefined && error instanceof ExpiredError) this.#paged = false;
        throw error;
      }
      for (const item of page.items) items.push(item);
      from = page.continue;
    } while (from !== undefined);
    // A read from storage that is behind what we saw earlier: the storage was restored from a backup, versions start over.
    const rewound = this.#listFrom === '' && compareResourceVersions(page.resourceVersion, this.#seen) < 0;
    store.replace(items, page.resourceVersion, { scope, rewound });
    // From now on a list must not go back in time, whichever API server answers.
    this.#listFrom = page.resourceVersion;
    this.#seen = page.resourceVersion;
    this.#paged = true;
    this.#recovered();
    return page.resourceVersion;
  }

  /** Returns from where to go on when the server ended the stream in order. */
  async #watch(position: string, signal: AbortSignal): Promise<string> {
    const { source, clock, random, log, name, silenceMs = 180_000 } = this.#options;
    const timeoutSeconds = 300 + Math.floor(random() * 300);
    const started = clock.monotonic();
    let heard = started;
    let opened = false;
    using watch = new LinkedAbort(signal);
    const guard = this.#guard(watch, () => Math.min(heard + silenceMs, started + timeoutSeconds * 1000 + GRACE_MS));
    try {
      const events = source.watch({
        resourceVersion: position,
        timeoutSeconds,
        allowWatchBookmarks: true,
        signal: watch.signal,
      });
      for await (const event of events) {
        watch.signal.throwIfAborted();
        heard = clock.monotonic();
        opened = true;
        this.#recovered();
        const reached = this.#take(event);
        // Old events may be repeated; the position never goes back.
        if (reached === undefined || compareResourceVersions(reached, this.#position) <= 0) continue;
        this.#position = reached;
        this.#listFrom = reached;
        this.#seen = reached;
        this.#progressed();
      }
    } catch (error) {
      if (clock.monotonic() - started >= PROVEN_MS) this.#progressed();
      const cut = watch.signal.aborted && !signal.aborted;
      if (!cut || !opened) throw cut ? watch.signal.reason : error;
      // Perhaps the connection is half-open, perhaps there was no news: no outage, until a new connection fails.
      log.debug({ resource: name, ...describeError(watch.signal.reason) }, 'watch cut, watching again');
    } finally {
      watch.abort(new Error('the watch has ended'));
      await guard;
    }
    // A server that accepts and hangs up at once must not be asked in a tight loop.
    const lived = clock.monotonic() - started;
    if (lived >= PROVEN_MS) this.#progressed();
    else if (lived < 1000) await clock.sleep(this.#backoff.next(), signal);
    return this.#position ?? position;
  }

  async #guard(watch: LinkedAbort, deadline: () => number): Promise<void> {
    const { clock } = this.#options;
    try {
      for (let left = deadline() - clock.monotonic(); left > 0; left = deadline() - clock.monotonic()) {
        await clock.sleep(left, watch.signal);
      }
      watch.abort(new TransientError('WatchSilent', 'the watch said nothing for too long and was cut'));
    } catch {
      // The watch ended first.
    }
  }

  #take(event: WatchEvent<T>): string | undefined {
    const { store } = this.#options;
    switch (event.type) {
      case 'OPENED':
        return undefined;
      case 'BOOKMARK':
        return event.resourceVersion;
      case 'ADDED':
      case 'MODIFIED':
        store.upsert(event.object);
        return event.object.metadata.resourceVersion;
      case 'DELETED':
        store.remove(event.object);
        return event.object.metadata.resourceVersion;
    }
  }

  async #fail(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, log, name } = this.#options;
    const expired = error instanceof ExpiredError;
    if (expired) this.#listFrom = '';
    if (expired || error instanceof MalformedStreamError) this.#position = undefined;
    const firstExpired = expired && !this.#expired;
    this.#expired ||= expired;
    const delay = this.#backoff.next(error instanceof TransientError ? error.retryAfterMs : 0);
    const { code, message } = describeError(error);
    if (firstExpired) {
      log.debug({ resource: name, code }, 'resource version expired, listing again');
      return;
    }
    if (this.#outage === null) {
      const fields = { resource: name, code, error: message, retryMs: Math.round(delay) };
      // A server that is down fails every reflector; what it refuses concerns this one.
      if (error instanceof TransientError && error.backend !== undefined) this.#outages.down(name, fields);
      else log.warn(fields, LIST_OR_WATCH.down);
      this.#outage = { code, message, since: clock.now(), attempts: 1 };
    } else {
      this.#outage.code = code;
      this.#outage.message = message;
      this.#outage.attempts += 1;
    }
    try {
      await clock.sleep(delay, signal);
    } catch {
      // Stopping.
    }
  }

  #progressed(): void {
    this.#backoff.reset();
    this.#expired = false;
  }

  #recovered(): void {
    if (this.#outage === null) return;
    const { clock, log, name } = this.#options;
    const { since, attempts } = this.#outage;
    this.#outage = null;
    const fields = { resource: name, attempts, outageMs: clock.now() - since };
    if (!this.#outages.up(name, fields)) log.info(fields, LIST_OR_WATCH.up);
  }
}

/** An AbortController that also aborts with its parent, and lets go of the parent when disposed. */
class LinkedAbort implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #follow = (): void => this.#controller.abort(this.#parent.reason);

  constructor(parent: AbortSignal) {
    this.#parent = parent;
    if (parent.aborted) this.#follow();
    else parent.addEventListener('abort', this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#parent.removeEventListener('abort', this.#follow);
  }
}
