import type { Admission } from '#crds/directory/admission.ts';
import type { Head, LogEntry } from '#crds/directory/checkpoint.ts';
import type { ReplicaReport } from '#crds/directory/report.ts';

/**
 * What a relay needs of Redis. An error means that Redis is away: try again. Nothing that comes from here is trusted: the reader checks
 * every MAC and digest.
 */
export interface DirectoryFeed {
  /** undefined: absent, or not a head. */
  head(): Promise<Head | undefined>;
  /** All entries of a snapshot, in pages, each at least once if it was there all the time. */
  snapshot(epoch: number): AsyncIterable<readonly (readonly [key: string, text: string])[]>;
  /** Log entries after `revision`, in order, at most `limit`; undefined when one of them cannot be read. */
  log(epoch: number, revision: number, limit: number): Promise<readonly LogEntry[] | undefined>;
  /** As `log`, but waits up to `waitMs` for the first one. Ends early, with no entries, when the signal is aborted. */
  follow(
    epoch: number,
    revision: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly LogEntry[] | undefined>;
  /** Writes the report and announces it. Resolves when Redis has it. */
  report(id: string, report: ReplicaReport): Promise<void>;
  admission(id: string): Promise<Admission | undefined>;
}
