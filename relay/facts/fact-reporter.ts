import type { FactReport } from '#crds/facts/report.ts';
import type { FactSink } from './fact-sink.ts';
import type { FactSource } from './fact-source.ts';
import type { FactMetrics } from './metrics.ts';

export type FactReporterParts = {
  readonly sink: FactSink;
  readonly source: FactSource;
  /** The id under which this process reports to the directory. */
  readonly replica: string;
  /** Fresh random text. */
  readonly boot: string;
  readonly sign: (report: Omit<FactReport, 'v'>) => string;
  /** Epoch ms. */
  readonly wallClock: () => number;
  readonly metrics: FactMetrics;
};

/** Without facts a report says only until when there were none: that may be told less often than every few seconds. */
const QUIET_REPORT_MS = 30_000;

/**
 * Tells the operator what happened here, one report at a time. A report with facts is told until somebody has it, byte for byte, and its
 * number lets a reader drop the repetition; meanwhile new facts gather in the source, which is bounded by what there is to tell about.
 */
export class FactReporter {
  readonly #parts: FactReporterParts;
  /** Reports with facts so far. */
  #seq = 0;
  #unsent: string | undefined;
  #saidAt: number | undefined;
  #telling: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(parts: FactReporterParts) {
    this.#parts = parts;
  }

  /** Call it every few seconds. Never rejects; one after the other. */
  tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tell(false));
    return this.#telling;
  }

  /** The last report of this process. */
  end(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tell(true));
    return this.#telling;
  }

  async #tell(last: boolean): Promise<void> {
    if (this.#ended) return;
    this.#ended = last;
    for (let more = true; more;) {
      if (this.#unsent !== undefined && !(await this.#send(this.#unsent, last))) return;
      this.#unsent = undefined;
      more = await this.#next(last);
    }
  }

  /** Returns whether there is more to tell at once. */
  async #next(last: boolean): Promise<boolean> {
    const { source, wallClock } = this.#parts;
    const now = wallClock();
    const { facts, until, more } = source.take(now, last);
    const empty = Object.keys(facts).length === 0;
    if (empty && !last && this.#saidAt !== undefined && now - this.#saidAt < QUIET_REPORT_MS) return false;
    if (!empty) this.#seq += 1;
    const text = this.#text(facts, until, last && !more);
    // One without facts is not worth a repetition: the next says the same and more.
    if (!empty) this.#unsent = text;
    if (!(await this.#send(text, last))) return false;
    this.#unsent = undefined;
    this.#saidAt = now;
    return more;
  }

  #text(facts: FactReport['facts'], until: number, last: boolean): string {
    const { replica, boot, sign } = this.#parts;
    return sign({ replica, boot, seq: this.#seq, until, last, facts });
  }

  async #send(text: string, last: boolean): Promise<boolean> {
    const sent = await this.#parts.sink.append(text, last);
    this.#parts.metrics.reports.inc({ outcome: sent ? 'told' : 'kept' });
    return sent;
  }
}

/** Tells every few seconds, and at the end what is left. */
export function keepTelling(reporter: FactReporter, everyMs: number): AsyncDisposable {
  const timer = setInterval(() => void reporter.tell(), everyMs).unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await reporter.end();
    },
  };
}
