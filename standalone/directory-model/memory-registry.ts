import { signCheckpoint } from '#crds/directory/checkpoint.ts';
import { EMPTY_DIGEST } from '#crds/directory/digest.ts';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { trustEntry } from '#crds/directory/entry.ts';
import type { Keyring } from '#crds/keyring.ts';
import { NotLeadingError } from '#operator/directory/errors.ts';
import type { DirectoryRow, EntryRow, OutboxRow, RegistryLog, ReplicaRow } from '#operator/directory/registry-log.ts';
import { lastChanges, nextRevision, signAnew } from '#operator/directory/revision.ts';

/** How the statements of a caller reach this twin: at once, or as steps that a simulation decides on. */
export type Statements = {
  run<T>(effect: () => T, enabled?: () => boolean): Promise<T>;
};

type Tables = {
  row: DirectoryRow;
  entries: ReadonlyMap<string, string>;
  outbox: readonly OutboxRow[];
};

type Transaction = { tables: Tables };

/**
 * PostgreSQL for the directory, in memory: the lock of the directory row is held over several statements, writes are seen by others from
 * COMMIT on, and a lost connection rolls back.
 */
export class MemoryRegistry {
  tables: Tables = {
    row: { term: 0, epoch: 0, revision: 0, digest: EMPTY_DIGEST, count: 0, keyId: '' },
    entries: new Map(),
    outbox: [],
  };
  readonly replicas = new Map<string, ReplicaRow>();
  readonly #keyring: Keyring;
  #holder: Transaction | undefined;

  constructor(keyring: Keyring) {
    this.#keyring = keyring;
  }

  /** The server ends the transaction that holds the lock: its client died, or was idle for too long. */
  endTransaction(): void {
    this.#holder = undefined;
  }

  log(statements: Statements): RegistryLog {
    const fenced = <T>(term: number, effect: () => T): Promise<T> =>
      statements.run(() => {
        if (this.tables.row.term !== term) throw new NotLeadingError();
        return effect();
      });
    return {
      takeOver: () =>
        this.#transaction(statements, undefined, async (tx) => {
          const row = { ...tx.tables.row, term: tx.tables.row.term + 1 };
          tx.tables = { ...tx.tables, row };
          if (this.#keyring.ids().includes(row.keyId)) return row;
          await statements.run(() => this.#signAll(tx, this.#keyring.current));
          const moved = { ...tx.tables.row, epoch: row.epoch + 1, revision: row.revision + 1 };
          tx.tables = { ...tx.tables, row: moved };
          return moved;
        }),
      read: (term) => fenced(term, () => this.tables.row),
      outboxAfter: (term, { epoch, revision }, limit) =>
        statements.run(() => {
          if (this.tables.row.term !== term) return [];
          const rows = this.tables.outbox.filter(({ entry }) => entry.epoch === epoch && entry.revision > revision);
          return rows.slice(0, limit);
        }),
      outboxAt: (term, { epoch, revision }) =>
        statements.run(() =>
          this.tables.row.term === term
            ? this.tables.outbox.find(({ entry }) => entry.epoch === epoch && entry.revision === revision)
            : undefined,
        ),
      rebuild: (term, floor, signWith) =>
        this.#transaction(statements, term, async (tx) => {
          if (signWith !== undefined && signWith !== tx.tables.row.keyId) {
            await statements.run(() => this.#signAll(tx, signWith));
          }
          const { row } = tx.tables;
          const moved = {
            ...row,
            epoch: 1 + Math.max(row.epoch, floor.epoch),
            revision: 1 + Math.max(row.revision, floor.revision),
          };
          tx.tables = { ...tx.tables, row: moved };
          const entries = await statements.run(() => rowsOf(tx.tables.entries));
          return { checkpoint: signCheckpoint(this.#keyring, moved), entries };
        }),
      replicas: (term) => fenced(term, () => [...this.replicas.values()]),
      saveReplica: (term, replica) =>
        fenced(term, () => {
          this.replicas.set(replica.id, replica);
        }),
      removeReplica: (term, id, nonce) =>
        statements.run(() => {
          if (this.tables.row.term === term && this.replicas.get(id)?.nonce === nonce) this.replicas.delete(id);
        }),
      pruneOutbox: async () => {},
    };
  }

  /** As operator/postgres/directory-commit.ts, without registry rows. */
  async commit(statements: Statements, term: number, changes: readonly EntryChange[]): Promise<number> {
    return this.#transaction(statements, term, async (tx) => {
      const last = lastChanges(changes);
      const held = await statements.run(() =>
        last.flatMap(({ key }) => {
          const text = tx.tables.entries.get(key);
          const revision = text === undefined ? undefined : trustEntry(text)?.revision;
          return revision === undefined ? [] : [{ key, revision }];
        }),
      );
      const next = nextRevision(this.#keyring, tx.tables.row, held, last);
      await statements.run(() => {
        const entries = new Map(tx.tables.entries);
        for (const key of next.removals) entries.delete(key);
        for (const { key, text } of next.upserts) entries.set(key, text);
        tx.tables = { ...tx.tables, entries };
      });
      const { epoch, revision, digest, count, keyId } = next.outbox.entry;
      tx.tables = {
        ...tx.tables,
        row: { term, epoch, revision, digest, count, keyId },
        outbox: [...tx.tables.outbox, next.outbox],
      };
      return revision;
    });
  }

  #signAll(tx: Transaction, keyId: string): void {
    const { entries, digest } = signAnew(this.#keyring, keyId, rowsOf(tx.tables.entries), (bytes) =>
      Buffer.alloc(bytes),
    );
    const row = { ...tx.tables.row, keyId, digest, count: entries.length };
    tx.tables = { ...tx.tables, row, entries: new Map(entries.map(({ key, text }) => [key, text])) };
  }

  /** @param term undefined: any. */
  async #transaction<T>(
    statements: Statements,
    term: number | undefined,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const tx: Transaction = { tables: this.tables };
    try {
      await statements.run(
        () => {
          if (term !== undefined && this.tables.row.term !== term) throw new NotLeadingError();
          tx.tables = this.tables;
          this.#holder = tx;
        },
        () => this.#holder === undefined,
      );
      const result = await work(tx);
      await statements.run(() => {
        if (this.#holder !== tx) throw new Error('the transaction was ended');
        this.tables = tx.tables;
        this.#holder = undefined;
      });
      return result;
    } catch (error) {
      if (this.#holder === tx) this.#holder = undefined;
      throw error;
    }
  }
}

const rowsOf = (entries: ReadonlyMap<string, string>): EntryRow[] => [...entries].map(([key, text]) => ({ key, text }));
