import { statSync } from 'node:fs';
import {
  declare,
  identityOf,
  type Declared,
  type IdentityKey,
  type Problem,
  type SecretDeclaration,
} from './declarations.ts';
import type { FolderWorld } from './folder-world.ts';
import type { FolderObject } from './object-file.ts';
import { FolderWatch } from './folder-watch.ts';
import { errorCode, folderSignature, readManifestFiles } from './manifest-files.ts';

export type FolderLoopOptions = {
  readonly folder: string;
  /** The data directory, which may be inside the folder. */
  readonly except: string;
  readonly secrets: string;
  readonly world: FolderWorld;
  /** Everything that is wrong now; called after each look. */
  readonly onProblems: (problems: readonly Problem[]) => void;
  readonly onDeleted: (what: IdentityKey) => void;
  /** Milliseconds that only move forward. */
  readonly now: () => number;
};

/** An editor that truncates before it writes must not delete anything: an object has to be missing for this long. */
const CONFIRM_MS = 300;

/** Follows the folder, and edits of Secrets by hand, for as long as it runs. */
export class FolderLoop {
  readonly #options: FolderLoopOptions;
  readonly #missingSince = new Map<IdentityKey, number>();
  #signature: string | undefined;
  #folderId: number | undefined;

  constructor(options: FolderLoopOptions) {
    this.#options = options;
  }

  /** Reads the folder once. */
  async look(): Promise<void> {
    const { folder, except, world, onProblems } = this.#options;
    // Before the files are read: a change in between is then seen the next time.
    this.#signature = await folderSignature(folder, except);
    try {
      const files = await readManifestFiles(folder, except);
      const declared = declare(files, (key) => world.existing(key));
      world.sync(declared);
      this.#deleteMissing(declared);
      onProblems(declared.problems);
    } catch (error) {
      this.#missingSince.clear();
      const message = `the folder cannot be read (${errorCode(error)}): everything stays as it is until it can`;
      onProblems([{ file: folder, line: undefined, message }]);
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { folder, secrets } = this.#options;
    await Promise.all([
      this.#follow(folder, signal, (watch, noticed) => this.#lookAgain(watch, noticed)),
      this.#follow(secrets, signal, async () => this.#options.world.noticeSecretEdits()),
    ]);
  }

  async #follow(
    folder: string,
    signal: AbortSignal,
    work: (watch: FolderWatch, noticed: boolean) => Promise<void>,
  ): Promise<void> {
    using watch = new FolderWatch(folder);
    while (!signal.aborted) {
      const noticed = await watch.next(signal);
      if (!signal.aborted) await work(watch, noticed);
    }
  }

  async #lookAgain(watch: FolderWatch, noticed: boolean): Promise<void> {
    const { folder, except } = this.#options;
    const folderId = statSync(folder, { throwIfNoEntry: false })?.ino;
    if (folderId !== this.#folderId) watch.reopen();
    this.#folderId = folderId;
    const changed =
      noticed || this.#missingSince.size > 0 || (await folderSignature(folder, except)) !== this.#signature;
    if (changed) await this.look();
  }

  #deleteMissing(declared: Declared): void {
    const { world, now, onDeleted } = this.#options;
    const missing = world.missing(declared);
    const keys = new Set(missing.map(identityOfMissing));
    for (const key of this.#missingSince.keys()) if (!keys.has(key)) this.#missingSince.delete(key);
    for (const object of missing) {
      const key = identityOfMissing(object);
      const since = this.#missingSince.get(key) ?? now();
      this.#missingSince.set(key, since);
      if (now() - since < CONFIRM_MS) continue;
      this.#missingSince.delete(key);
      onDeleted(key);
      world.delete(object);
    }
  }
}

function identityOfMissing(object: FolderObject | SecretDeclaration): IdentityKey {
  return object.kind === 'Secret' ? identityOf(object) : identityOf({ kind: object.kind, ...object.metadata });
}
