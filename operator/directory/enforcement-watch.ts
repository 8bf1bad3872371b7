import type { MonotonicClock } from './clock.ts';
import { evaluateEnforced, UNKNOWN_VIEW } from './enforcement.ts';
import type { DirectoryView } from './enforcement.ts';

/** What the kinds see of the directory. */
export interface Enforcement {
  /** The newest view; (0, 0) and no members while this process does not lead. */
  view(): DirectoryView;
  /**
   * Resolves when every relay has reached the revision, when waiting longer cannot help (no relay, or only silent ones are missing), when
   * the time is over, or when the signal is aborted. Never rejects: ask evaluateEnforced what it came to.
   */
  reached(revision: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Calls the listener after each change of the view. */
  onChange(listener: () => void): () => void;
}

export class EnforcementWatch implements Enforcement {
  #view: DirectoryView = UNKNOWN_VIEW;
  readonly #listeners = new Set<() => void>();
  readonly #clock: MonotonicClock;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  view(): DirectoryView {
    return this.#view;
  }

  /** Listeners must not throw. */
  update(view: DirectoryView): void {
    if (sameView(this.#view, view)) return;
    this.#view = view;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async reached(revision: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isDecided(revision)) return;
    const done = new AbortController();
    const stop = this.onChange(() => {
      if (this.#isDecided(revision)) done.abort();
    });
    try {
      await this.#clock.sleep(timeoutMs, AbortSignal.any([done.signal, signal]));
    } finally {
      stop();
    }
  }

  #isDecided(revision: number): boolean {
    const { reason } = evaluateEnforced({ view: this.#view, revision, entryKeys: [], since: 0, latched: false });
    return reason !== 'Publishing' && reason !== 'Propagating';
  }
}

/** Beats alone change nothing that a kind could see. */
function sameView(a: DirectoryView, b: DirectoryView): boolean {
  if (a.head.epoch !== b.head.epoch || a.head.revision !== b.head.revision) return false;
  if (a.members.length !== b.members.length) return false;
  return a.members.every((left, index) => {
    const right = b.members[index];
    return (
      right !== undefined &&
      left.id === right.id &&
      left.epoch === right.epoch &&
      left.revision === right.revision &&
      left.admitted === right.admitted &&
      left.silent === right.silent &&
      sameSet(left.rejected, right.rejected) &&
      sameSet(left.lacks, right.lacks)
    );
  });
}

function sameSet(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && [...a].every((item) => b.has(item));
}
