import { KubernetesError } from './kubernetes-error.ts';

/** Ends what is under way when the time is up or the caller has had enough. */
export class Deadline {
  kill: ((reason: Error) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  #reason: Error | undefined;

  constructor(ms: number, signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.#timer = setTimeout(() => {
      this.#end(new KubernetesError(0, 'Timeout', `the API server did not answer within ${ms} ms`));
    }, ms);
    if (signal?.aborted === true) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get passed(): boolean {
    return this.#reason !== undefined;
  }

  throwIfPassed(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  readonly #abort = (): void => this.#end(asError(this.#signal?.reason));

  #end(reason: Error): void {
    this.#reason ??= reason;
    this.kill?.(reason);
  }
}

export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
