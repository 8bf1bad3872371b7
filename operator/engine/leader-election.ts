import type { Logger } from 'pino';
import type { Clock } from './clock.ts';
import { describeError, TransientError } from './errors.ts';
import { microTime } from './lease-lock.ts';
import type { HeldLease, LeaseLock } from './lease-lock.ts';
import { claim, evaluate, observe, released } from './lease-rules.ts';
import type { Observation } from './lease-rules.ts';

export type LeaderElectionOptions = {
  readonly lock: LeaseLock;
  /** Unique per process start (not only per pod): a restarted process must not take its own old lease for held. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** How long the others believe a silent holder. Default 15 s. */
  readonly leaseDurationMs?: number;
  /** How long after the START of its last successful renewal a leader goes on. Default 10 s; MUST be shorter than the lease. */
  readonly renewDeadlineMs?: number;
  /** Pause between two tries, jittered by a fifth. Default 2 s. */
  readonly retryPeriodMs?: number;
};

/** The lease could not be renewed in time, or somebody else holds it: what is under way must stop at once. */
export class LeaseLostError extends TransientError {
  constructor(message: string) {
    super('LeaseLost', message);
  }
}

type Term = { readonly startedMonotonic: number; readonly startedWall: number };

/**
 * One leader at a time, by a Lease. The invariant: whoever takes the lease over has waited the whole lease duration since it saw
 * the last renewal, which was after the leader STARTED that renewal; and the leader stops, by its own clock, `renewDeadlineMs`
 * after that start. The difference (5 s) is for requests of the old leader that are still on their way, and for clocks that run at
 * different speeds. The timer that ends the term may be late in a process that was stopped, so `isLeading()` asks the
 * clock itself; a writer asks it before each write.
 */
export class LeaderElection {
  readonly #options: Required<LeaderElectionOptions>;
  #lease: HeldLease | undefined;
  #seen: Observation | undefined;
  #term: Term | undefined;
  #leader = '';

  constructor(options: LeaderElectionOptions) {
    this.#options = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000, ...options };
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = this.#options;
    if (!(retryPeriodMs * 1.2 < renewDeadlineMs && renewDeadlineMs < leaseDurationMs)) {
      throw new RangeError('the retry period must be shorter than the renew deadline, and that shorter than the lease');
    }
  }

  /** True while it is certain that nobody else leads. Cheap, and right even when every timer is late. */
  isLeading(): boolean {
    return this.#term !== undefined && this.#left(this.#term) > 0;
  }

  /** The identity of the leader as last seen; '' when none. */
  get leader(): string {
    return this.#leader;
  }

  /**
   * Stands for election until the signal aborts, then resolves. Each time it wins it runs `lead`, whose signal aborts when the lease is
   * lost or the process stops, and waits for it to end before anything else. On a clean stop the lease is given back after
   * that. When `lead` rejects although nothing told it to stop, the lease is given back and `run` rejects.
   */
  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      if (await this.#try(signal, this.#options.renewDeadlineMs)) await this.#serve(signal, lead);
      else await this.#pause(signal);
    }
  }

  async #serve(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { log, lock, identity } = this.#options;
    const ending = new AbortController();
    const over = new AbortController();
    const stop = (): void => ending.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    log.info({ lease: lock.name, identity }, 'leading');
    const work = (async () => {
      try {
        await lead(ending.signal);
      } finally {
        over.abort();
      }
    })();
    const renewal = this.#renew(ending, over.signal);
    const expiry = this.#expire(ending, over.signal);
    try {
      await work;
    } catch (error) {
      if (!ending.signal.aborted) throw error;
      log.debug(describeError(error), 'led work ended with an error after it was told to stop');
    } finally {
      await Promise.all([renewal, expiry]);
      signal.removeEventListener('abort', stop);
      if (ending.signal.reason instanceof LeaseLostError) {
        log.warn({ lease: lock.name, identity, ...describeError(ending.signal.reason) }, 'no longer leading');
        this.#term = undefined;
      } else {
        await this.#release();
      }
    }
  }

  async #renew(ending: AbortController, over: AbortSignal): Promise<void> {
    while (!ending.signal.aborted && !over.aborted) {
      await this.#pause(ending.signal, over);
      if (ending.signal.aborted || over.aborted || this.#term === undefined) return;
      const won = await this.#try(ending.signal, this.#left(this.#term));
      if (won || this.#leader === this.#options.identity || this.#leader === '') continue;
      this.#term = undefined;
      ending.abort(new LeaseLostError(`the lease is held by ${this.#leader}`));
    }
  }

  /** A timer of its own, so that a renewal that hangs cannot keep the term alive. */
  async #expire(ending: AbortController, over: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!ending.signal.aborted && !over.aborted) {
      const left = this.#term === undefined ? 0 : this.#left(this.#term);
      if (left <= 0) {
        this.#term = undefined;
        ending.abort(new LeaseLostError('the lease could not be renewed in time'));
        return;
      }
      await quietly(clock.sleep(left, AbortSignal.any([ending.signal, over])));
    }
  }

  /** One attempt to take or renew the lease. */
  async #try(signal: AbortSignal, deadlineMs: number): Promise<boolean> {
    const { clock, log, lock } = this.#options;
    const attempt = new AbortController();
    const finished = new AbortController();
    const stop = (): void => attempt.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const deadline = quietly(
      clock
        .sleep(deadlineMs, finished.signal)
        .then(() => attempt.abort(new TransientError('LeaseTimeout', 'the lease request took too long'))),
    );
    try {
      return await this.#attempt(attempt.signal);
    } catch (error) {
      // What we hold may be out of date, or our write may have arrived without its answer: read before the next try.
      this.#lease = undefined;
      if (!signal.aborted) log.debug({ lease: lock.name, ...describeError(error) }, 'lease request failed');
      return false;
    } finally {
      signal.removeEventListener('abort', stop);
      finished.abort();
      await deadline;
    }
  }

  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { lock, clock, identity, leaseDurationMs } = this.#options;
    // As leader we know what we wrote and spare the read; somebody else's write makes ours fail.
    if (this.#lease?.record.holderIdentity !== identity) {
      this.#lease = await lock.get(signal);
      this.#seen = this.#lease === undefined ? undefined : observe(this.#seen, this.#lease.record, clock.monotonic());
      this.#know(this.#lease?.record.holderIdentity ?? '');
      if (evaluate(this.#seen, identity, clock.monotonic()).action === 'wait') return false;
    }
    const term = { startedMonotonic: clock.monotonic(), startedWall: clock.now() };
    const record = claim(this.#lease?.record, identity, {
      time: microTime(clock.now()),
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
    });
    this.#lease =
      this.#lease === undefined
        ? await lock.create(record, signal)
        : await lock.update(record, this.#lease.version, signal);
    signal.throwIfAborted();
    this.#seen = observe(this.#seen, record, clock.monotonic());
    this.#term = term;
    this.#know(identity);
    return true;
  }

  async #release(): Promise<void> {
    const { lock, clock, log, identity, retryPeriodMs } = this.#options;
    this.#term = undefined;
    const abort = new AbortController();
    const finished = new AbortController();
    const deadline = quietly(
      clock
        .sleep(retryPeriodMs, finished.signal)
        .then(() => abort.abort(new TransientError('LeaseTimeout', 'the release took too long'))),
    );
    try {
      // A renewal that was cut short may have arrived: then only a read tells the version.
      const held = this.#lease ?? (await lock.get(abort.signal));
      if (held?.record.holderIdentity !== identity) return;
      await lock.update(released(held.record, microTime(clock.now())), held.version, abort.signal);
      this.#know('');
      log.info({ lease: lock.name }, 'lease released');
    } catch (error) {
      log.warn(
        { lease: lock.name, ...describeError(error) },
        'lease could not be released, the next leader has to wait',
      );
    } finally {
      this.#lease = undefined;
      finished.abort();
      await deadline;
    }
  }

  #know(leader: string): void {
    const { log, lock, identity } = this.#options;
    if (leader === this.#leader) return;
    this.#leader = leader;
    if (leader !== identity) log.info({ lease: lock.name, leader }, 'leader changed');
  }

  /** Milliseconds until this term ends. The wall clock counts as well: the monotonic one stands still while a machine sleeps. */
  #left({ startedMonotonic, startedWall }: Term): number {
    const { clock, renewDeadlineMs } = this.#options;
    return renewDeadlineMs - Math.max(clock.monotonic() - startedMonotonic, clock.now() - startedWall);
  }

  async #pause(...signals: AbortSignal[]): Promise<void> {
    const { clock, retryPeriodMs, random } = this.#options;
    await quietly(clock.sleep(retryPeriodMs * (1 + 0.2 * random()), AbortSignal.any(signals)));
  }
}

/** Waits for a sleep that may be cut short. */
async function quietly(sleep: Promise<void>): Promise<void> {
  try {
    await sleep;
  } catch {
    // Told to stop: the caller looks at its signal.
  }
}
