import { watch, type FSWatcher } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const SETTLE_MS = 50;
const POLL_MS = 500;

/**
 * Says that a folder, or a folder below it, may have changed. The system's own notices are fast and sometimes silent (network file
 * systems, bind mounts, folders that are removed and come back), so that callers look for themselves every half second as well.
 */
export class FolderWatch implements Disposable {
  readonly #folder: string;
  #watcher: FSWatcher | undefined;
  #wake: AbortController = new AbortController();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Resolves shortly after a notice, after half a second without one, or when `signal` aborts. `true`: there was a notice. */
  async next(signal: AbortSignal): Promise<boolean> {
    this.#open();
    const noticed = await aborted(POLL_MS, AbortSignal.any([signal, this.#wake.signal]));
    if (!noticed || signal.aborted) return false;
    // An editor's save is several notices.
    await aborted(SETTLE_MS, signal);
    this.#wake = new AbortController();
    return true;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #open(): void {
    if (this.#watcher !== undefined) return;
    try {
      const watcher = watch(this.#folder, { recursive: true, persistent: false });
      const close = (): void => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      };
      watcher.on('change', () => this.#wake.abort());
      watcher.on('error', close);
      this.#watcher = watcher;
    } catch {
      // Not there now, or no more watches to be had: looking every half second does it too.
    }
  }

  /** The folder was replaced: a watch of the old one says nothing. */
  reopen(): void {
    this[Symbol.dispose]();
  }
}

/** True when the signal aborted before the time was over. */
async function aborted(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal });
    return false;
  } catch {
    return true;
  }
}
