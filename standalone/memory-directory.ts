import type { Admission } from '#crds/directory/admission.ts';
import { parseLogEntry } from '#crds/directory/checkpoint.ts';
import type { Checkpoint, Head, LogEntry } from '#crds/directory/checkpoint.ts';
import { trustEntry } from '#crds/directory/entry.ts';
import type { Announcement, ReplicaReport } from '#crds/directory/report.ts';
import type { DirectoryStore } from '#operator/directory/directory-store.ts';
import type { OutboxRow } from '#operator/directory/registry-log.ts';
import type { DirectoryFeed } from '#relay/directory/feed.ts';

/** What Redis would hold. Plain data, so that tests can keep a copy and put it back, as a failover to an old replica does. */
export type MemoryDirectoryState = {
  head: Head | undefined;
  snapshots: Map<number, Map<string, string>>;
  /** Texts of log entries, oldest first. */
  logs: Map<number, { revision: number; text: string }[]>;
  replicas: Map<string, ReplicaReport>;
  admissions: Map<string, Admission>;
};

export const emptyDirectoryState = (): MemoryDirectoryState => ({
  head: undefined,
  snapshots: new Map(),
  logs: new Map(),
  replicas: new Map(),
  admissions: new Map(),
});

const LOG_LENGTH = 10_000;
const PAGE = 500;

/**
 * The link between operator and relay when both are one process: the same steps as the scripts in Redis, on memory. Each method acts at
 * once, without an await in between, which makes it as atomic as a script.
 */
export class MemoryDirectory {
  readonly state: MemoryDirectoryState;
  readonly #reportListeners = new Set<(announcement: Announcement) => void>();
  readonly #waiting = new Set<() => void>();

  constructor(state: MemoryDirectoryState = emptyDirectoryState()) {
    this.state = state;
  }

  /** The operator's end. */
  readonly store: DirectoryStore = {
    head: async () => this.state.head,
    publish: async (rows) => {
      let written = 0;
      while (written < rows.length && this.#publish(rows[written])) written += 1;
      if (written > 0) this.#wakeFollowers();
      return written;
    },
    beat: async (checkpoint) => this.#beat(checkpoint),
    fill: async (epoch, entries) => {
      const snapshot = this.#snapshot(epoch);
      for (const { key, text } of entries) snapshot.set(key, text);
    },
    flip: async (checkpoint) => this.#flip(checkpoint),
    discard: async (epoch) => {
      if (this.state.head?.epoch === epoch) return;
      this.state.snapshots.delete(epoch);
      this.state.logs.delete(epoch);
    },
    reports: async () => new Map(this.state.replicas),
    forget: async (id, nonce) => {
      const report = this.state.replicas.get(id);
      if (report !== undefined && report.nonce !== nonce) return;
      this.state.replicas.delete(id);
      this.state.admissions.delete(id);
    },
    admit: async (id, admission) => {
      this.state.admissions.set(id, admission);
    },
    onReport: (listener) => {
      this.#reportListeners.add(listener);
      return () => this.#reportListeners.delete(listener);
    },
  };

  /** The relay's end. */
  readonly feed: DirectoryFeed = {
    head: async () => this.state.head,
    snapshot: (epoch) => pages([...(this.state.snapshots.get(epoch) ?? [])]),
    log: async (epoch, revision, limit) => this.#log(epoch, revision, limit),
    follow: async (epoch, revision, waitMs, signal) => {
      const found = this.#log(epoch, revision, PAGE);
      if (found === undefined || found.length > 0 || signal.aborted) return found;
      await this.#nextPublish(waitMs, signal);
      return this.#log(epoch, revision, PAGE);
    },
    report: async (id, report) => {
      this.state.replicas.set(id, report);
      for (const listener of this.#reportListeners) listener({ id, report });
    },
    admission: async (id) => this.state.admissions.get(id),
  };

  #publish(row: OutboxRow | undefined): boolean {
    const { head } = this.state;
    if (row === undefined || head === undefined) return false;
    const { epoch, previous, revision, changes } = row.entry;
    if (head.epoch !== epoch || head.revision !== previous) return false;
    const log = this.state.logs.get(epoch) ?? [];
    log.push({ revision, text: row.text });
    if (log.length > LOG_LENGTH) log.shift();
    this.state.logs.set(epoch, log);
    const snapshot = this.#snapshot(epoch);
    for (const text of changes) {
      const payload = trustEntry(text);
      if (payload === undefined) throw new Error('an entry in the outbox cannot be read');
      if (payload.body === null) snapshot.delete(payload.key);
      else snapshot.set(payload.key, text);
    }
    this.state.head = { ...checkpointFields(row.entry), beat: head.beat };
    return true;
  }

  #beat({ epoch, revision, digest, count }: Checkpoint): boolean {
    const { head } = this.state;
    if (head === undefined || head.epoch !== epoch || head.revision !== revision) return false;
    if (head.digest !== digest || head.count !== count || this.#snapshot(epoch).size !== count) return false;
    this.state.head = { ...head, beat: head.beat + 1 };
    return true;
  }

  #flip(checkpoint: Checkpoint): boolean {
    const { head } = this.state;
    if (head !== undefined && head.epoch >= checkpoint.epoch) return false;
    if (this.#snapshot(checkpoint.epoch).size !== checkpoint.count) return false;
    this.state.logs.delete(checkpoint.epoch);
    this.state.head = { ...checkpointFields(checkpoint), beat: 0 };
    this.#wakeFollowers();
    return true;
  }

  #snapshot(epoch: number): Map<string, string> {
    const snapshot = this.state.snapshots.get(epoch) ?? new Map<string, string>();
    this.state.snapshots.set(epoch, snapshot);
    return snapshot;
  }

  #log(epoch: number, revision: number, limit: number): LogEntry[] | undefined {
    const entries: LogEntry[] = [];
    for (const { text } of (this.state.logs.get(epoch) ?? [])
      .filter((item) => item.revision > revision)
      .slice(0, limit)) {
      const entry = parseLogEntry(text);
      if (entry === undefined) return undefined;
      entries.push(entry);
    }
    return entries;
  }

  async #nextPublish(waitMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal.addEventListener('abort', wake);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(wake);
    signal.removeEventListener('abort', wake);
  }

  #wakeFollowers(): void {
    for (const wake of this.#waiting) wake();
  }
}

function checkpointFields({ epoch, revision, count, digest, keyId, mac }: Checkpoint): Checkpoint {
  return { epoch, revision, count, digest, keyId, mac };
}

async function* pages(
  entries: readonly (readonly [string, string])[],
): AsyncGenerator<readonly (readonly [string, string])[]> {
  for (let index = 0; index < entries.length; index += PAGE) yield entries.slice(index, index + PAGE);
}
