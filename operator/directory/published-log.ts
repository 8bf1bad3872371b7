import { comparePositions } from '#crds/directory/position.ts';
import type { Position } from '#crds/directory/position.ts';
import { isAuthentic } from '#crds/directory/checkpoint.ts';
import type { Checkpoint, Head } from '#crds/directory/checkpoint.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { DirectoryStore } from './directory-store.ts';
import type { DirectoryRow, RegistryLog } from './registry-log.ts';
import { checkpointOf } from './revision.ts';

const BATCH = 256;
const FILL_CHUNK = 500;
const EPOCHS_DISCARDED = 16;

/** What stands in Redis cannot be continued from PostgreSQL: a new epoch is needed. */
export class DiscontinuityError extends Error {
  readonly code = 'discontinuity';
  constructor(why: string) {
    super(why);
    this.name = 'DiscontinuityError';
  }
}

export type PublishedLogOptions = {
  readonly keyring: Keyring;
  readonly registry: RegistryLog;
  readonly store: DirectoryStore;
};

/**
 * Brings Redis to where PostgreSQL is (rules 3 and 4), for one term. Knows the checkpoint that it has last seen in Redis; every doubt
 * forgets it and looks again. Calls must not overlap.
 */
export class PublishedLog {
  readonly #keyring: Keyring;
  readonly #registry: RegistryLog;
  readonly #store: DirectoryStore;
  readonly #term: number;
  #checkpoint: Checkpoint | undefined;

  constructor({ keyring, registry, store }: PublishedLogOptions, term: number) {
    this.#keyring = keyring;
    this.#registry = registry;
    this.#store = store;
    this.#term = term;
  }

  /** What Redis held when it was last looked at; undefined: not known. */
  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /** Something else than expected was seen: look before the next step. */
  doubt(): void {
    this.#checkpoint = undefined;
  }

  /** Publishes what the outbox has. Throws DiscontinuityError when only a rebuild helps. */
  async catchUp(): Promise<void> {
    let from = this.#checkpoint ?? (await this.#resume());
    for (;;) {
      const rows = await this.#registry.outboxAfter(this.#term, from, BATCH);
      if (rows.length === 0) break;
      let expected = from.revision;
      for (const { entry } of rows) {
        if (entry.previous !== expected) throw new DiscontinuityError('the outbox has a gap');
        expected = entry.revision;
      }
      this.#checkpoint = undefined;
      const written = await this.#store.publish(rows);
      const last = rows[written - 1]?.entry;
      // Head is elsewhere: another publisher, or Redis lost something. Look again, which also ends in a rebuild if need be.
      from = written < rows.length || last === undefined ? await this.#resume() : last;
    }
    this.#checkpoint = from;
  }

  /** Rule 3: head is on the line that PostgreSQL can continue. */
  async #resume(): Promise<Checkpoint> {
    const head = await this.#store.head();
    const row = await this.#registry.read(this.#term);
    if (head === undefined) throw new DiscontinuityError('Redis has no directory');
    if (head.epoch !== row.epoch) throw new DiscontinuityError('Redis is of another epoch');
    if (head.revision > row.revision) throw new DiscontinuityError('Redis is ahead of PostgreSQL');
    const expected = await this.#expectedAt(head, row);
    // Without its row the revision of head cannot be compared, and what follows it may be gone as well.
    if (expected === undefined) throw new DiscontinuityError('the outbox does not reach back to what Redis has');
    if (!sameState(head, expected)) throw new DiscontinuityError('Redis has another content at this revision');
    return expected;
  }

  async #expectedAt(head: Head, row: DirectoryRow): Promise<Checkpoint | undefined> {
    if (head.revision === row.revision) return checkpointOf(this.#keyring, row);
    const kept = await this.#registry.outboxAt(this.#term, head);
    if (kept !== undefined) return kept.entry;
    // The first revision of an epoch has no row: what follows it says that it was there.
    const [next] = await this.#registry.outboxAfter(this.#term, head, 1);
    return next?.entry.previous === head.revision && isAuthentic(this.#keyring, head) ? head : undefined;
  }

  /** Rule 4. `floor`: the highest position that anyone has reported. Throws DiscontinuityError when Redis changed meanwhile. */
  async rebuild(floor: Position, signWith?: string): Promise<void> {
    this.#checkpoint = undefined;
    const head = await this.#store.head();
    const highest = {
      epoch: Math.max(floor.epoch, head?.epoch ?? 0),
      revision: Math.max(floor.revision, head?.revision ?? 0),
    };
    const { checkpoint, entries } = await this.#registry.rebuild(this.#term, highest, signWith);
    // Leftovers of an epoch that PostgreSQL forgot (a restore): the count would not tell them from ours.
    await this.#store.discard(checkpoint.epoch);
    for (let index = 0; index < entries.length; index += FILL_CHUNK) {
      await this.#store.fill(checkpoint.epoch, entries.slice(index, index + FILL_CHUNK));
    }
    if (!(await this.#store.flip(checkpoint))) {
      await this.#store.discard(checkpoint.epoch);
      throw new DiscontinuityError('Redis changed during the rebuild');
    }
    this.#checkpoint = checkpoint;
    for (let epoch = checkpoint.epoch - 1; epoch > 0 && epoch >= checkpoint.epoch - EPOCHS_DISCARDED; epoch -= 1) {
      await this.#store.discard(epoch);
    }
  }

  /** Rule 5. `reported`: positions of relays, read before this call. Leaves `checkpoint` set only if all is well. */
  async verify(reported: Iterable<Position>): Promise<void> {
    const row = await this.#registry.read(this.#term);
    for (const position of reported) {
      if (comparePositions(position, row) > 0) {
        this.#checkpoint = undefined;
        throw new DiscontinuityError('a relay is ahead of PostgreSQL');
      }
    }
    if (
      this.#checkpoint !== undefined &&
      (row.epoch !== this.#checkpoint.epoch || row.revision < this.#checkpoint.revision)
    ) {
      this.#checkpoint = undefined;
    }
    await this.catchUp();
    if (this.#checkpoint !== undefined && (await this.#store.beat(this.#checkpoint))) return;
    this.#checkpoint = undefined;
    await this.catchUp();
    if (this.#checkpoint !== undefined && (await this.#store.beat(this.#checkpoint))) return;
    this.#checkpoint = undefined;
    throw new DiscontinuityError('the snapshot in Redis is not complete');
  }
}

function sameState(a: Checkpoint, b: Checkpoint): boolean {
  return a.revision === b.revision && a.digest === b.digest && a.count === b.count && a.keyId === b.keyId;
}
