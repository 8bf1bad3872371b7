import { isAuthentic } from '#crds/directory/checkpoint.ts';
import type { Checkpoint, LogEntry } from '#crds/directory/checkpoint.ts';
import { changeDigest, EMPTY_DIGEST } from '#crds/directory/digest.ts';
import type { EntryVersion } from '#crds/directory/digest.ts';
import type { Keyring } from '#crds/keyring.ts';
import { decodeEntry } from './decode-entry.ts';
import type { DecodedEntry, Enforceable } from './decode-entry.ts';

/** What this relay holds under one key. */
type Slot = {
  /** The revision that the operator published last; undefined: it is removed there. */
  readonly revision: number | undefined;
  /** What is enforced: that revision, or an earlier one when that is rejected. */
  readonly enforced: Enforceable | undefined;
};

/** A key whose enforced content is another one now; undefined: none. */
export type TableChange = { readonly key: string; readonly content: Enforceable | undefined };

/** The log does not lead on from here, or not truthfully: load again. */
export type ApplyProblem = 'gap' | 'malformed' | 'not_authentic' | 'unknown_key' | 'digest';
export type Applied = { readonly changes: readonly TableChange[] } | { readonly problem: ApplyProblem };

/**
 * All entries at one checkpoint. Pure memory: no clock, no I/O. It only ever takes a whole revision or nothing, and only one whose digest
 * it has computed itself.
 */
export class EntryTable {
  readonly #keyring: Keyring;
  readonly #slots = new Map<string, Slot>();
  readonly #rejected = new Set<string>();
  #checkpoint: Checkpoint;

  private constructor(keyring: Keyring, checkpoint: Checkpoint) {
    this.#keyring = keyring;
    this.#checkpoint = checkpoint;
  }

  get checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  /** Keys that are not enforced as published, sorted. */
  rejected(): string[] {
    return [...this.#rejected].sort();
  }

  enforced(key: string): Enforceable | undefined {
    return this.#slots.get(key)?.enforced;
  }

  /**
   * A table beside the old one (rule 6): entries of a snapshot taken at or after `start`, then the log from there.
   * @param log revisions after `start`, in order. @param old what stays enforced of an entry that is rejected now.
   */
  static load(
    keyring: Keyring,
    start: Checkpoint,
    snapshot: Iterable<readonly [key: string, text: string]>,
    log: readonly LogEntry[],
    old: EntryTable | undefined,
  ): EntryTable | ApplyProblem {
    let previous = start;
    for (const entry of log) {
      if (entry.previous !== previous.revision || entry.epoch !== start.epoch) return 'gap';
      previous = entry;
    }
    const end = previous;
    if (!keyring.ids().includes(end.keyId)) return 'unknown_key';
    if (!isAuthentic(keyring, end)) return 'not_authentic';
    const newest = new Map<string, DecodedEntry>();
    const take = (decoded: DecodedEntry): void => {
      const held = newest.get(decoded.key);
      if (held === undefined || held.revision < decoded.revision) newest.set(decoded.key, decoded);
    };
    for (const [key, text] of snapshot) {
      const decoded = decodeEntry(keyring, text);
      if (decoded?.key !== key) return 'malformed';
      take(decoded);
    }
    for (const entry of log) {
      for (const text of entry.changes) {
        const decoded = decodeEntry(keyring, text);
        if (decoded === undefined || decoded.revision !== entry.revision) return 'malformed';
        take(decoded);
      }
    }
    const table = new EntryTable(keyring, end);
    const living: EntryVersion[] = [];
    for (const decoded of newest.values()) {
      table.#put(decoded, old?.enforced(decoded.key));
      if (!decoded.removed) living.push(decoded);
    }
    const digest = changeDigest(keyring, end.keyId, EMPTY_DIGEST, [], living);
    return digest === end.digest && living.length === end.count ? table : 'digest';
  }

  /** Rule 7: takes in the next revision, or says why not and stays as it is. A revision that is held already changes nothing. */
  apply(entry: LogEntry): Applied {
    const at = this.#checkpoint;
    if (entry.epoch !== at.epoch) return { problem: 'gap' };
    if (entry.revision <= at.revision) return { changes: [] };
    if (entry.previous !== at.revision) return { problem: 'gap' };
    if (entry.keyId !== at.keyId) return { problem: 'unknown_key' };
    if (!isAuthentic(this.#keyring, entry)) return { problem: 'not_authentic' };
    const decoded = new Map<string, DecodedEntry>();
    for (const text of entry.changes) {
      const one = decodeEntry(this.#keyring, text);
      if (one === undefined || one.revision !== entry.revision) return { problem: 'malformed' };
      decoded.set(one.key, one);
    }
    const leaving: EntryVersion[] = [];
    const coming: EntryVersion[] = [];
    for (const one of decoded.values()) {
      const revision = this.#slots.get(one.key)?.revision;
      if (revision !== undefined) leaving.push({ key: one.key, revision });
      if (!one.removed) coming.push(one);
    }
    const digest = changeDigest(this.#keyring, at.keyId, at.digest, leaving, coming);
    if (digest !== entry.digest || at.count - leaving.length + coming.length !== entry.count)
      return { problem: 'digest' };
    const changes: TableChange[] = [];
    for (const one of decoded.values()) {
      const before = this.enforced(one.key);
      this.#put(one, before);
      const after = this.enforced(one.key);
      if (after !== before) changes.push({ key: one.key, content: after });
    }
    this.#checkpoint = entry;
    return { changes };
  }

  /** What differs in what is enforced, seen from `old`, which this table was loaded beside. */
  changesSince(old: EntryTable | undefined): TableChange[] {
    const changes: TableChange[] = [];
    for (const [key, { enforced }] of this.#slots) {
      if (enforced !== old?.enforced(key)) changes.push({ key, content: enforced });
    }
    if (old === undefined) return changes;
    for (const [key, { enforced }] of old.#slots) {
      if (!this.#slots.has(key) && enforced !== undefined) changes.push({ key, content: undefined });
    }
    return changes;
  }

  #put(decoded: DecodedEntry, before: Enforceable | undefined): void {
    const { key, revision, removed } = decoded;
    this.#rejected.delete(key);
    if ('rejected' in decoded) {
      this.#rejected.add(key);
      this.#slots.set(key, { revision: removed ? undefined : revision, enforced: before });
    } else if (decoded.content === null) {
      this.#slots.delete(key);
    } else {
      // The same content stays the same object, so that its identity tells whether a rule changed.
      this.#slots.set(key, { revision, enforced: before?.mac === decoded.content.mac ? before : decoded.content });
    }
  }
}
