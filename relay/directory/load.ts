import type { LogEntry } from '#crds/directory/checkpoint.ts';
import { comparePositions } from '#crds/directory/position.ts';
import type { Keyring } from '#crds/keyring.ts';
import { EntryTable } from './entry-table.ts';
import type { ApplyProblem } from './entry-table.ts';
import type { DirectoryFeed } from './feed.ts';

export type LoadProblem = ApplyProblem | 'no_head' | 'older' | 'moved';

const LOG_BATCH = 500;

/**
 * Rule 6: head, then its snapshot, then the log from head's revision; the epoch must be the same at the end, and the digest must agree.
 * Loads beside `old` and never returns a table that is before it. A problem means: start over, after a moment.
 */
export async function loadTable(
  keyring: Keyring,
  feed: DirectoryFeed,
  old: EntryTable | undefined,
): Promise<EntryTable | LoadProblem> {
  const head = await feed.head();
  if (head === undefined) return 'no_head';
  if (old !== undefined && comparePositions(head, old.checkpoint) < 0) return 'older';
  const snapshot: (readonly [string, string])[] = [];
  for await (const page of feed.snapshot(head.epoch)) snapshot.push(...page);
  const log: LogEntry[] = [];
  for (;;) {
    const batch = await feed.log(head.epoch, log.at(-1)?.revision ?? head.revision, LOG_BATCH);
    if (batch === undefined) return 'malformed';
    if (batch.length === 0) break;
    log.push(...batch);
  }
  const now = await feed.head();
  if (now?.epoch !== head.epoch) return 'moved';
  const table = EntryTable.load(keyring, head, snapshot, log, old);
  if (table instanceof EntryTable && old !== undefined && comparePositions(table.checkpoint, old.checkpoint) <= 0) {
    return 'older';
  }
  return table;
}
