import type { Logger } from 'pino';
import { isEmpty, readReport, type FactReport } from '#crds/facts/report.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from '../directory/clock.ts';
import type { DirectoryView } from '../directory/enforcement.ts';
import { NotLeadingError } from '../directory/errors.ts';
import { describeError } from '../engine/errors.ts';
import { Absences } from './absences.ts';
import type { FactStore, SourceChange } from './fact-store.ts';
import type { FactStream, StoredReport } from './fact-stream.ts';
import { knownUntil } from './knowledge.ts';
import type { FactReaderMetrics, ReportOutcome } from './metrics.ts';
import { takeReport, type Gap, type Progress, type SourceState } from './progress.ts';

export type FactReaderOptions = {
  /** DIRECTORY_KEYS. */
  readonly keyring: Keyring;
  readonly stream: FactStream;
  readonly store: FactStore;
  /** The term under which this process leads; undefined: it does not (yet). */
  readonly term: () => number | undefined;
  /** Who counts as a relay. */
  readonly view: () => DirectoryView;
  readonly clock: MonotonicClock;
  /** Epoch ms. */
  readonly now: () => number;
  readonly log: Logger;
  readonly metrics: FactReaderMetrics;
  /** True when somebody else says of this error that a backend is down. Default: nobody does. */
  readonly saidElsewhere?: (error: unknown) => boolean;
  /** Default 2 000. */
  readonly everyMs?: number;
};

/** Of reports of 50 kB at the most. */
const BATCH = 100;

type Leading = { readonly term: number; progress: Progress; readonly absences: Absences };

/**
 * The leader's ear for what relays tell: reads what waits, remembers it in one transaction, and only then drops it. Killed anywhere in
 * between, it reads the same again and knows it for a repetition.
 */
export class FactReader {
  readonly #options: FactReaderOptions;
  #leading: Leading | undefined;
  #failing = false;

  constructor(options: FactReaderOptions) {
    this.#options = options;
  }

  /** Epoch ms up to when everything is known that relays had to tell; null: not known, as while this process does not lead. */
  knownUntil(): number | null {
    const members = this.#members();
    if (this.#leading === undefined || members === undefined) return null;
    return knownUntil(this.#leading.progress, members, this.#options.now());
  }

  /** How old that knowledge is; Infinity: there is none. */
  lagSeconds(): number {
    const known = this.knownUntil();
    return known === null ? Number.POSITIVE_INFINITY : (this.#options.now() - known) / 1_000;
  }

  /** Reads while this process leads, until the signal is aborted; then resolves. Backends that are away are waited for. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = 2_000 } = this.#options;
    try {
      while (!signal.aborted) {
        await this.#attempt(signal);
        await clock.sleep(everyMs, signal);
      }
    } finally {
      this.#leading = undefined;
    }
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { term, store, log, saidElsewhere } = this.#options;
    const mine = term();
    if (mine === undefined) return;
    try {
      if (this.#leading?.term !== mine) {
        this.#leading = { term: mine, progress: await store.load(mine), absences: new Absences() };
      }
      while (!signal.aborted && (await this.#round(this.#leading)) === BATCH);
      if (this.#failing) log.info('what relays tell is read again');
      this.#failing = false;
    } catch (error) {
      // What PostgreSQL has now is asked before anything more is read.
      this.#leading = undefined;
      // The publisher says so, and ends everything.
      if (error instanceof NotLeadingError) return;
      const level = saidElsewhere?.(error) === true ? 'debug' : 'warn';
      if (!this.#failing) log[level](describeError(error), 'what relays tell cannot be read, trying again');
      this.#failing = true;
    }
  }

  /** Returns how many reports there were. */
  async #round(leading: Leading): Promise<number> {
    const { stream, clock, metrics } = this.#options;
    const waiting = await stream.read(BATCH);
    const sources = new Map(leading.progress.sources);
    const changed = new Set<string>();
    const reports: FactReport[] = [];
    let gap: Gap | undefined;
    for (const report of this.#authentic(waiting)) {
      const { replica } = report;
      const taken = takeReport(sources.get(replica), report, this.#options.now());
      metrics.reports.inc({ outcome: outcomeOf(report, taken.news) });
      sources.set(replica, taken.source);
      if (taken.changed) changed.add(replica);
      if (taken.news) reports.push(report);
      gap ??= taken.gap;
      leading.absences.heard(replica, clock.monotonic());
    }
    const absent = leading.absences.look(sources, this.#members(), clock.monotonic());
    for (const replica of absent.gone) sources.delete(replica);
    await this.#commit(leading, { sources, changed, reports, gone: absent.gone, gap: gap ?? absent.gap });
    if (waiting.length > 0) await stream.drop(waiting.map(({ id }) => id));
    return waiting.length;
  }

  async #commit(leading: Leading, { sources, changed, reports, gone, gap }: Round): Promise<void> {
    const { store, metrics, log, now } = this.#options;
    const at = now();
    const since = gap === undefined ? undefined : at;
    if (changed.size + gone.length > 0 || since !== undefined) {
      const changes = [...changed].flatMap((replica): SourceChange[] => {
        const state = sources.get(replica);
        return state === undefined ? [] : [{ before: leading.progress.sources.get(replica), now: state }];
      });
      await store.commit({ at, reports, sources: changes, gone, since });
    }
    leading.progress = { sources, since: since ?? leading.progress.since };
    if (gap === undefined) return;
    metrics.gaps.inc({ reason: gap });
    log.info({ reason: gap }, 'something that relays had to tell may be lost: nothing counts as unused for a day');
  }

  *#authentic(waiting: readonly StoredReport[]): Generator<FactReport> {
    const { keyring, metrics } = this.#options;
    for (const { text } of waiting) {
      const report = readReport(keyring, text);
      if ('fault' in report) metrics.reports.inc({ outcome: report.fault });
      else yield report;
    }
  }

  #members(): readonly string[] | undefined {
    const { head, members } = this.#options.view();
    return head.epoch === 0 ? undefined : members.map(({ id }) => id);
  }
}

type Round = {
  readonly sources: ReadonlyMap<string, SourceState>;
  readonly changed: ReadonlySet<string>;
  readonly reports: readonly FactReport[];
  readonly gone: readonly string[];
  readonly gap: Gap | undefined;
};

function outcomeOf(report: FactReport, news: boolean): ReportOutcome {
  if (news) return 'new';
  return isEmpty(report) ? 'empty' : 'repeated';
}
