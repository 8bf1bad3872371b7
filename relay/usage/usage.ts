import { bucketStart, GRANULARITIES, type Granularity } from './buckets.ts';
import { addUp, NO_USAGE, type UsageCounts, type UsageSnapshot, type UsageStore } from './usage-store.ts';

/** Of one app since the last look, counted up by whoever sees it happen: plain integers, because this is the hot path of every message. */
export type Tally = {
  connectionsOpened: number;
  messagesIn: number;
  messagesOut: number;
  apiCalls: number;
  /** Most sockets at once. */
  connectionsPeak: number;
};

/** Where everybody counts. */
export type Tallies = { of(appId: string): Tally };

export type UsageParts = {
  readonly store: UsageStore;
  /** Sockets of an app open here now. */
  readonly connections: (appId: string) => number;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

type AppUsage = {
  readonly tally: Tally;
  /** When the tally begins. */
  since: number;
  readonly buckets: Map<Granularity, { start: number; counts: UsageCounts }>;
  /** Oldest first; the last one is of the current minute. */
  readonly unwritten: UsageSnapshot[];
  flushed: Promise<void>;
};

/** Minutes that are kept for a store that is away; hours and days come whole with any later write. */
const MAX_UNWRITTEN = 60;

/** Counts what apps use at this replica and writes it to the store: absolute numbers of this boot, so that no write need succeed. */
export class Usage implements Tallies {
  readonly #parts: UsageParts;
  readonly #apps = new Map<string, AppUsage>();

  constructor(parts: UsageParts) {
    this.#parts = parts;
  }

  /** Where to count for an app. Ask anew for each event: an app that is quiet is forgotten. */
  of(appId: string): Tally {
    return (this.#apps.get(appId) ?? this.#begin(appId)).tally;
  }

  opened(appId: string): void {
    const tally = this.of(appId);
    tally.connectionsOpened += 1;
    tally.connectionsPeak = Math.max(tally.connectionsPeak, this.#parts.connections(appId));
  }

  /** Writes what was counted. Call it every few seconds, and once at the end. */
  async flush(): Promise<void> {
    await Promise.all([...this.#apps.keys()].map((appId) => this.flushApp(appId)));
  }

  /** One after the other: an older look at a minute must not be written over a newer one. */
  flushApp(appId: string): Promise<void> {
    const app = this.#apps.get(appId);
    if (app === undefined) return Promise.resolve();
    app.flushed = app.flushed.then(() => this.#flush(appId, app));
    return app.flushed;
  }

  async #flush(appId: string, app: AppUsage): Promise<void> {
    const dayIsOver = this.#take(appId, app);
    for (let oldest = app.unwritten[0]; oldest !== undefined; oldest = app.unwritten[0]) {
      if (!(await this.#parts.store.write(appId, oldest))) return;
      app.unwritten.shift();
    }
    // Not earlier: whoever begins anew would write over the day's numbers.
    if (dayIsOver && isZero(app.tally)) this.#apps.delete(appId);
  }

  #begin(appId: string): AppUsage {
    const peak = this.#parts.connections(appId);
    const tally = { connectionsOpened: 0, messagesIn: 0, messagesOut: 0, apiCalls: 0, connectionsPeak: peak };
    const app: AppUsage = {
      tally,
      since: this.#parts.wallClock(),
      buckets: new Map(),
      unwritten: [],
      flushed: Promise.resolve(),
    };
    this.#apps.set(appId, app);
    return app;
  }

  /** Moves the tally into the buckets of the time that it began in. Returns whether that was another day, and a quiet end of it. */
  #take(appId: string, app: AppUsage): boolean {
    const { tally, since } = app;
    const now = this.#parts.wallClock();
    const delta = { ...tally };
    Object.assign(tally, NO_USAGE, { connectionsPeak: this.#parts.connections(appId) });
    app.since = now;
    if (!isZero(delta)) this.#keep(app, since, delta);
    return isZero(delta) && bucketStart('day', since) !== bucketStart('day', now);
  }

  #keep(app: AppUsage, at: number, delta: UsageCounts): void {
    const before = app.buckets.get('minute');
    const snapshot = this.#add(app, at, delta);
    const sameMinute = before?.start === snapshot.minute.start;
    if (sameMinute && isEqual(before.counts, snapshot.minute.counts)) return;
    if (app.unwritten.at(-1)?.minute.start === snapshot.minute.start) app.unwritten.pop();
    app.unwritten.push(snapshot);
    if (app.unwritten.length > MAX_UNWRITTEN) app.unwritten.shift();
  }

  #add(app: AppUsage, at: number, delta: UsageCounts): UsageSnapshot {
    const add = (granularity: Granularity): { start: number; counts: UsageCounts } => {
      const start = bucketStart(granularity, at);
      const known = app.buckets.get(granularity);
      const before = known?.start === start ? known.counts : NO_USAGE;
      const connectionsPeak = Math.max(before.connectionsPeak, delta.connectionsPeak);
      const bucket = { start, counts: { ...addUp([before, delta]), connectionsPeak } };
      app.buckets.set(granularity, bucket);
      return bucket;
    };
    const [minute, hour, day] = GRANULARITIES;
    return { [minute]: add(minute), [hour]: add(hour), [day]: add(day) };
  }
}

const isZero = (counts: UsageCounts): boolean =>
  counts.connectionsOpened + counts.messagesIn + counts.messagesOut + counts.apiCalls + counts.connectionsPeak === 0;

const isEqual = (a: UsageCounts, b: UsageCounts): boolean =>
  a.connectionsPeak === b.connectionsPeak &&
  a.connectionsOpened === b.connectionsOpened &&
  a.messagesIn === b.messagesIn &&
  a.messagesOut === b.messagesOut &&
  a.apiCalls === b.apiCalls;

const FLUSH_MS = 5_000;

/** Flushes every few seconds, and when a minute ends, so that what was counted falls into the minute that it belongs to. */
export function keepWriting(usage: Usage, wallClock: () => number): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined;
  const next = (): void => {
    const untilMinuteEnds = bucketStart('minute', wallClock()) + 60_000 - wallClock();
    timer = setTimeout(
      () => {
        void usage.flush();
        next();
      },
      Math.min(FLUSH_MS, untilMinuteEnds),
    ).unref();
  };
  next();
  return {
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      await usage.flush();
    },
  };
}
