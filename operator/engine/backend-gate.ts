import type { Logger } from 'pino';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { describeError } from './errors.ts';

export type BackendGateOptions = {
  /** The backend, as TransientError.backend names it: `postgres`, `redis`. */
  readonly name: string;
  /** Resolves when the backend answers. MUST end, by throwing, when the signal aborts, and MUST have a deadline of its own. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
};

export type BackendHealth = {
  readonly lastError: { readonly code: string; readonly message: string } | null;
  /** Wall time in milliseconds since when the backend has been down. */
  readonly since: number | null;
};

/** Open for this long, the gate has proved right. */
const PROVEN_MS = 30_000;

/**
 * One place that knows that a backend is down, for everyone who needs it (operator-traps, rule 12): the first failure closes the gate,
 * one probe with one backoff asks when it is back, and all waiting work goes on together. Without it every key would
 * run into the same wall on its own, thousands at once, and deletions would drown among them.
 */
export class BackendGate {
  readonly #options: BackendGateOptions;
  readonly #backoff: Backoff;
  readonly #listeners = new Set<(open: boolean) => void>();
  #outage: { readonly code: string; readonly message: string; readonly since: number } | null = null;
  #openedAt: number | undefined;
  #wake: (() => void) | undefined;

  constructor(options: BackendGateOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 250, maxMs: 15_000, random: options.random });
  }

  get name(): string {
    return this.#options.name;
  }

  get open(): boolean {
    return this.#outage === null;
  }

  health(): BackendHealth {
    return this.#outage === null
      ? { lastError: null, since: null }
      : { lastError: { code: this.#outage.code, message: this.#outage.message }, since: this.#outage.since };
  }

  /** Somebody found the backend down. One line of log per outage. */
  close(error: unknown): void {
    if (this.#outage !== null) return;
    const { log, clock, name } = this.#options;
    const { code, message } = describeError(error);
    // A backend that answers its probe and fails all the same must not be tried several times a second.
    if (this.#openedAt === undefined || clock.monotonic() - this.#openedAt >= PROVEN_MS) this.#backoff.reset();
    this.#outage = { code, message, since: clock.now() };
    log.warn({ backend: name, code, error: message }, 'backend is down, work that needs it waits');
    this.#tell(false);
    this.#wake?.();
  }

  /** Called when the gate closes and opens. Returns the way to stop. */
  onChange(listener: (open: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Probes while the gate is closed, until the signal aborts. Without it a closed gate never opens. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, probe, log, name } = this.#options;
    const stop = (): void => this.#wake?.();
    signal.addEventListener('abort', stop);
    try {
      while (!signal.aborted) {
        if (this.#outage === null) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          continue;
        }
        try {
          await clock.sleep(this.#backoff.next(), signal);
          await probe(signal);
        } catch {
          // Still away, which was told when the gate closed; or stopping.
          continue;
        }
        const { since } = this.#outage;
        this.#outage = null;
        this.#openedAt = clock.monotonic();
        log.info({ backend: name, outageMs: clock.now() - since }, 'backend is back');
        this.#tell(true);
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #tell(open: boolean): void {
    for (const listener of this.#listeners) listener(open);
  }
}
