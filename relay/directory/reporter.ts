import type { Logger } from 'pino';
import type { Checkpoint } from '#crds/directory/checkpoint.ts';
import { ENTRY_VERSION } from '#crds/directory/entry-body.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from './clock.ts';
import type { DirectoryFeed } from './feed.ts';
import { Sleeper } from './sleeper.ts';
import type { Standing } from './standing.ts';

export type ReporterOptions = {
  readonly keyring: Keyring;
  readonly feed: DirectoryFeed;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** True when somebody else says of this error that Redis is away, so that an outage is one line in the log. Default: nobody does. */
  readonly saidElsewhere?: ((error: unknown) => boolean) | undefined;
  readonly id: string;
  readonly podUid: string | null;
  readonly fenceAfterMs: number | null;
  readonly reportEveryMs: number;
  readonly standing: Standing;
  /** What caches and sockets agree with; undefined before the first load. */
  readonly applied: () => Checkpoint | undefined;
  readonly rejected: () => readonly string[];
  /** What this relay lacks, as crds/directory/report.ts names it. */
  readonly lacks: () => readonly string[];
  /** Called when the standing may have changed. */
  readonly onStanding: () => void;
};

/** While the operator's admission is awaited, and a fence may close. */
const LOOK_EVERY_MS = 100;
const FENCE_LOOK_MS = 250;

/** Rules 8 and 9: says what is applied, after progress and every 2 s, and asks for the admission. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #sleeper: Sleeper;
  #beat = 0;
  #due = Number.NEGATIVE_INFINITY;
  #failing: 'warn' | 'debug' | undefined;
  #leaving = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#sleeper = new Sleeper(options.clock);
  }

  /** There is something new to say. */
  poke(): void {
    this.#due = Number.NEGATIVE_INFINITY;
    this.#sleeper.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, standing, fenceAfterMs, reportEveryMs, onStanding } = this.#options;
    const onAbort = (): void => this.#sleeper.wake();
    signal.addEventListener('abort', onAbort);
    while (!signal.aborted && !this.#leaving) {
      if (clock.monotonic() >= this.#due) {
        this.#due = clock.monotonic() + reportEveryMs;
        await this.#try(() => this.#report(false));
      }
      if (!standing.admitted) await this.#try(() => this.#askAdmission());
      onStanding();
      const wait = Math.min(
        Math.max(0, this.#due - clock.monotonic()),
        standing.admitted ? Number.POSITIVE_INFINITY : LOOK_EVERY_MS,
        fenceAfterMs === null ? Number.POSITIVE_INFINITY : FENCE_LOOK_MS,
      );
      await this.#sleeper.sleep(wait);
    }
    signal.removeEventListener('abort', onAbort);
  }

  /** The last report: the sockets are closed and nothing is served any more. Best effort: a look at the pod finds out as well. */
  async bye(): Promise<void> {
    this.#leaving = true;
    this.#sleeper.wake();
    await this.#try(() => this.#report(true));
  }

  async #report(bye: boolean): Promise<void> {
    const { feed, clock, id, podUid, fenceAfterMs, keyring, standing, applied, rejected, lacks } = this.#options;
    const start = clock.monotonic();
    standing.reporting(start);
    const { nonce, admitted } = standing;
    const { epoch, revision } = applied() ?? { epoch: 0, revision: 0 };
    this.#beat += 1;
    await feed.report(id, {
      nonce,
      beat: this.#beat,
      epoch,
      revision,
      admitted,
      rejected: [...rejected()],
      formats: [ENTRY_VERSION],
      keyIds: keyring.ids(),
      podUid,
      fenceAfterMs,
      lacks: [...lacks()],
      bye,
    });
    standing.reported(start, nonce, clock.monotonic());
  }

  async #askAdmission(): Promise<void> {
    const { feed, clock, id, standing, applied } = this.#options;
    if (applied() === undefined) return;
    const admission = await feed.admission(id);
    const checkpoint = applied();
    if (admission === undefined || checkpoint === undefined) return;
    if (!standing.consider(admission, checkpoint, clock.monotonic())) return;
    this.#options.log.info({ epoch: checkpoint.epoch, revision: checkpoint.revision }, 'admitted by the operator');
    this.poke();
  }

  async #try(work: () => Promise<void>): Promise<void> {
    const { log, saidElsewhere } = this.#options;
    try {
      await work();
      if (this.#failing !== undefined) log[this.#failing === 'warn' ? 'info' : 'debug']('reports arrive again');
      this.#failing = undefined;
    } catch (error) {
      const level = saidElsewhere?.(error) === true ? 'debug' : 'warn';
      if (this.#failing === undefined) log[level]({ err: error }, 'Redis does not take reports, trying again');
      this.#failing ??= level;
    }
  }
}
