import type { Logger } from 'pino';
import type { BackendGate } from './backend-gate.ts';
import type { Clock } from './clock.ts';
import { describeError, TransientError } from './errors.ts';
import type { ControllerObserver } from './metrics.ts';
import { splitKey } from './object.ts';
import type { Key } from './object.ts';
import { outcomeOf } from './outcome.ts';
import type { Outcome } from './outcome.ts';
import { WorkQueue } from './workqueue.ts';
import type { Priority } from './workqueue.ts';

export type ReconcileContext = {
  /** Aborts when the controller stops, the lease is lost or the time is up. Every effect must be given it. */
  readonly signal: AbortSignal;
  /** Carries controller, namespace, name and reconcileID. */
  readonly log: Logger;
  readonly reconcileId: string;
};

/** Brings one key to the desired state. Called again for as long as it does not say `done`; may throw instead of returning `retry`. */
export type Reconcile = (key: Key, context: ReconcileContext) => Promise<Outcome>;

export type ControllerOptions = {
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly log: Logger;
  /** Keys worked on at the same time. Default 1. */
  readonly concurrency?: number;
  readonly observer?: ControllerObserver | undefined;
  /** Looks at every key again, in case an event was missed or something outside was changed. */
  readonly resync?: { readonly keys: () => Iterable<Key>; /** Default 10 hours. */ readonly everyMs?: number };
  /** Backends that every reconcile needs; while one is down only `high` keys are taken up. */
  readonly gates?: readonly BackendGate[];
  /** A reconcile that takes longer has its signal aborted. Milliseconds; default 2 minutes. */
  readonly timeoutMs?: number;
};

const TEN_HOURS = 36_000_000;

/** Takes keys from its queue and reconciles them until told to stop, whatever a reconcile does. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #running = new Set<AbortController>();
  readonly #urgent = new Set<Key>();

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ clock: options.clock, observer: options.observer?.queue });
    options.observer?.watch(this.#queue);
    options.observer?.workers(0, options.concurrency ?? 1);
  }

  get name(): string {
    return this.#options.name;
  }

  /** Asks for `key` to be reconciled. `high` is for objects being deleted. */
  enqueue(key: Key, priority: Priority = 'normal'): void {
    if (priority === 'high') this.#urgent.add(key);
    this.#queue.add(key, { priority });
  }

  /** Asks for `key` to be reconciled in `ms`. */
  enqueueAfter(key: Key, ms: number, priority: Priority = 'low'): void {
    this.#queue.addAfter(key, ms, { priority });
  }

  /** Reconciles until the signal aborts; resolves when every running reconcile has ended. A controller runs once. */
  async run(signal: AbortSignal): Promise<void> {
    const { gates = [], concurrency = 1 } = this.#options;
    const stop = (): void => {
      this.#queue.shutDown();
      for (const reconcile of this.#running) reconcile.abort(signal.reason);
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const settle = (): void => (gates.every((gate) => gate.open) ? this.#queue.resume() : this.#queue.pause());
    const subscriptions = gates.map((gate) => gate.onChange(settle));
    settle();
    try {
      await Promise.all([this.#resync(signal), ...Array.from({ length: concurrency }, () => this.#work(signal))]);
    } finally {
      for (const unsubscribe of subscriptions) unsubscribe();
      signal.removeEventListener('abort', stop);
    }
  }

  async #work(stopping: AbortSignal): Promise<void> {
    for (let key = await this.#queue.get(); key !== undefined; key = await this.#queue.get()) {
      try {
        await this.#reconcileOne(key, stopping);
      } finally {
        this.#queue.done(key);
      }
    }
  }

  async #reconcileOne(key: Key, stopping: AbortSignal): Promise<void> {
    const { name, reconcile, clock, newId, observer, timeoutMs = 120_000, concurrency = 1 } = this.#options;
    const reconcileId = newId();
    const log = this.#options.log.child({ controller: name, ...splitKey(key), reconcileID: reconcileId });
    const urgent = this.#urgent.delete(key);
    const abort = new AbortController();
    const finished = new AbortController();
    this.#running.add(abort);
    observer?.workers(this.#running.size, concurrency);
    const started = clock.monotonic();
    void clock.sleep(timeoutMs, finished.signal).then(
      () => abort.abort(new TransientError('ReconcileTimeout', `the reconcile took longer than ${timeoutMs} ms`)),
      () => undefined,
    );
    let outcome: Outcome;
    try {
      outcome = await reconcile(key, { signal: abort.signal, log, reconcileId });
    } catch (error) {
      outcome = outcomeOf(error);
    }
    finished.abort();
    this.#running.delete(abort);
    observer?.workers(this.#running.size, concurrency);
    if (stopping.aborted) return;
    const result = this.#settle(key, outcome, urgent, log);
    observer?.reconciled(result, (clock.monotonic() - started) / 1000);
  }

  #settle(key: Key, outcome: Outcome, urgent: boolean, log: Logger): 'success' | 'requeue' | 'requeue_after' | 'error' {
    const { observer } = this.#options;
    switch (outcome.kind) {
      case 'done':
        this.#queue.forget(key);
        return 'success';
      case 'requeueAfter':
        this.#queue.forget(key);
        if (urgent) this.#urgent.add(key);
        this.#queue.addAfter(key, outcome.ms, { priority: outcome.priority ?? (urgent ? 'high' : 'low') });
        return 'requeue_after';
      case 'terminal':
        this.#queue.forget(key);
        observer?.failed('terminal');
        log.error(describeError(outcome.error), 'reconcile failed, waiting for a change');
        return 'error';
      case 'retry':
        return this.#retry(key, outcome.error, urgent, log);
    }
  }

  #retry(key: Key, error: unknown, urgent: boolean, log: Logger): 'requeue' | 'error' {
    const { observer, gates = [] } = this.#options;
    if (urgent) this.#urgent.add(key);
    const priority = urgent ? 'high' : 'low';
    if (!(error instanceof TransientError)) {
      // Nobody raised this on purpose: the stack is what finds the fault.
      log.error(
        { ...describeError(error), stack: error instanceof Error ? error.stack : undefined },
        'reconcile failed',
      );
      observer?.failed('retry');
      this.#queue.addRateLimited(key, { priority });
      return 'error';
    }
    const gate = gates.find(({ name }) => name === error.backend);
    const atLeastMs = error.retryAfterMs ?? 0;
    gate?.close(error);
    if (gate !== undefined && !urgent) {
      // Its turn comes when the gate opens; the key itself has done nothing wrong.
      this.#queue.addAfter(key, atLeastMs, { priority });
      return 'requeue';
    }
    if (error.quiet) {
      log.debug(describeError(error), 'reconcile lost a race, trying again');
      this.#queue.addRateLimited(key, { priority: urgent ? 'high' : 'normal', atLeastMs });
      return 'requeue';
    }
    observer?.failed('retry');
    log.warn(describeError(error), 'reconcile failed, trying again');
    this.#queue.addRateLimited(key, { priority, atLeastMs });
    return 'error';
  }

  /** Spread over a tenth of the interval, so that a resync is no load peak; the interval jittered, so that two controllers part. */
  async #resync(signal: AbortSignal): Promise<void> {
    const { resync, clock, random } = this.#options;
    if (resync === undefined) return;
    const { keys, everyMs = TEN_HOURS } = resync;
    try {
      for (;;) {
        await clock.sleep(everyMs * (0.9 + 0.2 * random()), signal);
        for (const key of keys()) this.#queue.addAfter(key, random() * everyMs * 0.1, { priority: 'low' });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
