import type { Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AggregatorRegistry } from 'prom-client';
import { answer, type Answer, type Question } from './worker-protocol.ts';

export type WorkersParts = {
  readonly count: number;
  /** Starts the worker process of that number, 1 … count. */
  readonly fork: (worker: number) => Worker;
  readonly log: Logger;
};

/** A worker that does not answer a question within this time hangs, or is not there. */
const ANSWER_MS = 2_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** A worker that lived this long died of something new. */
const LIVED_MS = 60_000;

/** Milliseconds until a worker that ended is started again. @param deaths how many times in a row it died young, this one included. */
export function restartDelay(deaths: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (deaths - 1));
}

/**
 * The worker processes of one relay, which share its port: started, started again when they die, asked together, stopped together. Each is
 * a replica of its own to the directory, the bus and the counts; nothing but the port and these questions is shared.
 */
export class Workers {
  readonly #parts: WorkersParts;
  readonly #running = new Map<number, Worker>();
  readonly #stopping = new AbortController();
  readonly #lives: Promise<void>[];
  #nextQuestion = 0;
  #everListened = false;
  #failed = false;

  constructor(parts: WorkersParts) {
    this.#parts = parts;
    this.#lives = Array.from({ length: parts.count }, (_, at) => this.#keepAlive(at + 1));
  }

  /** Resolves when no worker is left: after `stop`, or because none could be started at all. */
  async ended(): Promise<'stopped' | 'failed'> {
    await Promise.all(this.#lives);
    return this.#failed ? 'failed' : 'stopped';
  }

  /** Tells every worker to drain and end. `ended` resolves when they have. */
  stop(): void {
    this.#stopping.abort();
    for (const worker of this.#running.values()) worker.process.kill('SIGTERM');
  }

  /** Whether every worker is there and ready. */
  async ready(): Promise<boolean> {
    if (this.#stopping.signal.aborted || this.#running.size < this.#parts.count) return false;
    const answers = await this.#askAll('ready');
    return answers.every((one) => one?.ready === true);
  }

  /** Whether every worker that runs still turns. One that is being restarted does not count: that is taken care of. */
  async alive(): Promise<boolean> {
    const asked = [...this.#running.entries()];
    const answers = await this.#askAll('ready');
    return asked.every(([number, worker], at) => answers[at] !== undefined || this.#running.get(number) !== worker);
  }

  /** The metrics of all workers as one text: counters summed, gauges as their own `aggregator` says. */
  async metrics(): Promise<string> {
    const answers = await this.#askAll('metrics');
    const lists = answers.flatMap((one) => (one?.metrics === undefined ? [] : [[...one.metrics]]));
    return AggregatorRegistry.aggregate(lists).metrics();
  }

  async #keepAlive(number: number): Promise<void> {
    const { fork, log } = this.#parts;
    const { signal } = this.#stopping;
    let deaths = 0;
    while (!signal.aborted) {
      const worker = fork(number);
      const startedAt = performance.now();
      this.#running.set(number, worker);
      worker.once('listening', () => (this.#everListened = true));
      const { promise, resolve } = Promise.withResolvers<number | string>();
      worker.once('exit', (code: number, by: string | null) => resolve(by ?? code));
      // A fork that fails emits `error` and, having never run, no exit.
      worker.once('error', (error) => resolve(error.message));
      const end = await promise;
      this.#running.delete(number);
      if (signal.aborted) {
        if (end !== 0) this.#failed = true;
        return;
      }
      if (!this.#everListened) {
        // The port is taken, a file is missing: what no restart mends.
        log.fatal({ worker: number, end }, 'a worker ended before any of them served');
        this.#failed = true;
        return this.stop();
      }
      deaths = performance.now() - startedAt > LIVED_MS ? 1 : deaths + 1;
      log.error({ worker: number, end, delayMs: restartDelay(deaths) }, 'a worker ended and is started again');
      // Cut short: the loop sees that it shall stop.
      await delay(restartDelay(deaths), undefined, { signal }).catch(() => undefined);
    }
  }

  /** In the order of the running workers; undefined: no answer. */
  #askAll(ask: Question['ask']): Promise<(Answer | undefined)[]> {
    return Promise.all([...this.#running.values()].map((worker) => this.#ask(worker, ask)));
  }

  async #ask(worker: Worker, ask: Question['ask']): Promise<Answer | undefined> {
    const id = (this.#nextQuestion += 1);
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const listener = (message: unknown): void => {
      const given = answer.safeParse(message).data;
      if (given?.answer === id) resolve(given);
    };
    const gone = (): void => resolve(undefined);
    const timer = setTimeout(gone, ANSWER_MS);
    worker.on('message', listener);
    worker.once('exit', gone);
    try {
      worker.send({ ask, id } satisfies Question, (error) => {
        if (error !== null) gone();
      });
      return await promise;
    } finally {
      clearTimeout(timer);
      worker.off('message', listener);
      worker.off('exit', gone);
    }
  }
}
