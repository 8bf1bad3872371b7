import type { Logger } from 'pino';
import type { Clock } from './clock.ts';
import { describeError } from './errors.ts';
import { TokenBuckets } from './token-buckets.ts';

/** What an event is about. */
export type EventSubject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
};

export type EventNote = {
  readonly type: 'Normal' | 'Warning';
  /** UpperCamelCase, for machines. */
  readonly reason: string;
  /** UpperCamelCase: what was being done. */
  readonly action: string;
  /** For people; at most 1 kB arrives. Never a secret. */
  readonly note: string;
};

/** One event, or one series of the same. */
export type RecordedEvent = EventNote & {
  /** Unique and stable over the series. */
  readonly name: string;
  readonly subject: EventSubject;
  /** Wall time of the first and of the last occurrence, milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
};

/** Where events go. Called again with the same `name` and a higher count as a series grows. MUST have a deadline of its own. */
export type EventSink = { write(event: RecordedEvent, signal: AbortSignal): Promise<void> };

export type EventRecorderOptions = {
  readonly sink: EventSink;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Logger;
};

/** The same thing within this time belongs to one series (client-go: 6 minutes). */
const SERIES_MS = 360_000;
/** Growing series are written at most this often. */
const UPDATE_MS = 30_000;
const MOST_SERIES = 4096;
const MOST_WAITING = 1000;

type Series = { event: RecordedEvent; queued: boolean };

/**
 * Tells people what happened, through Kubernetes Events, without ever holding up or failing who tells: `record` returns at once and never
 * throws. Repetitions become a count, each object has a budget (25 at once, then one in 5 minutes, as in client-go),
 * and what a slow API server cannot take is dropped.
 */
export class EventRecorder implements AsyncDisposable {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #budgets: TokenBuckets;
  readonly #waiting: Series[] = [];
  readonly #stop = new AbortController();
  readonly #grown = new Set<Series>();
  #writing: Promise<void> | undefined;
  #updating: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#budgets = new TokenBuckets({ clock: options.clock, burst: 25, refillMs: 300_000 });
  }

  /** Events that were not written: over budget, too many waiting, or refused by the API server. */
  get dropped(): number {
    return this.#dropped;
  }

  record(subject: EventSubject, note: EventNote): void {
    if (this.#stop.signal.aborted) return;
    const { clock, newId } = this.#options;
    const now = clock.now();
    const key = JSON.stringify([subject.metadata.uid, note.type, note.reason, note.action, note.note]);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.event.lastAt < SERIES_MS) {
      known.event = { ...known.event, lastAt: now, count: known.event.count + 1 };
      this.#grown.add(known);
      this.#updating ??= this.#update();
      return;
    }
    if (!this.#budgets.take(subject.metadata.uid)) {
      this.#dropped += 1;
      return;
    }
    const name = `${subject.metadata.name.slice(0, 200)}.${newId()}`;
    const series: Series = {
      event: { ...note, name, subject, firstAt: now, lastAt: now, count: 1 },
      queued: false,
    };
    this.#series.delete(key);
    this.#series.set(key, series);
    if (this.#series.size > MOST_SERIES) {
      for (const oldest of this.#series.keys()) {
        this.#series.delete(oldest);
        break;
      }
    }
    this.#enqueue(series);
  }

  /** Resolves when everything recorded so far was written or dropped. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#updating;
    await this.#writing;
  }

  /** Writes the counts of the series that have grown, all at once and not too often. */
  async #update(): Promise<void> {
    try {
      await this.#options.clock.sleep(UPDATE_MS, this.#stop.signal);
      for (const series of this.#grown) this.#enqueue(series);
    } catch {
      // Stopping: a count that is too low is no loss.
    }
    this.#grown.clear();
    this.#updating = undefined;
  }

  #enqueue(series: Series): void {
    if (series.queued) return;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    series.queued = true;
    this.#waiting.push(series);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    const { sink, log } = this.#options;
    // Never inside record(): the caller must not run into the sink.
    await Promise.resolve();
    for (let series = this.#waiting.shift(); series !== undefined; series = this.#waiting.shift()) {
      series.queued = false;
      const { event } = series;
      try {
        this.#stop.signal.throwIfAborted();
        await sink.write(event, this.#stop.signal);
      } catch (error) {
        this.#dropped += 1;
        if (this.#stop.signal.aborted) continue;
        log.debug(
          { reason: event.reason, object: event.subject.metadata.name, ...describeError(error) },
          'event dropped',
        );
      }
    }
    this.#writing = undefined;
  }
}
